"""The section `clips`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgesdk_agent.config.section import Name, Section
from edgesdk_agent.evidence.upload_address import UploadAddress
from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import SecretUrl


def _network(value: SecretUrl) -> SecretUrl:
    if not value.reveal().startswith(NETWORK) or len(value.reveal()) > _LONGEST:
        raise ValueError("a stream's address begins with rtsp://, rtsps://, http:// or https://")
    return value


def _token(value: SecretStr) -> SecretStr:
    # Anything else cannot stand in the head of a request. The message must not quote it.
    if any(not "!" <= character <= "~" for character in value.get_secret_value()):
        raise ValueError("a token has visible ASCII characters only, and no spaces or line breaks")
    return value


# What sends video as it is encoded.
NETWORK = ("rtsp://", "rtsps://", "http://", "https://")
_LONGEST = 4096
Stream = Annotated[SecretUrl, AfterValidator(_network)]


class UploadSection(Section):
    """Where clips are sent: a server of the tus protocol (1.0), which resumes what was cut off; see docs/evidence.md.

    Attributes:
        url: `https://…`, where uploads are created; plain HTTP only to this device itself.
        token: sent as `Authorization: Bearer`.
        max_bytes_per_s: of the uplink.
        every_clip: send each clip; otherwise only those for which it is asked.
    """

    url: str | None = Field(default=None, max_length=2048)
    token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(default=None, max_length=_LONGEST)
    max_bytes_per_s: int = Field(default=250_000, ge=1024, le=1 << 30)
    every_clip: bool = True

    @model_validator(mode="after")
    def _usable(self) -> UploadSection:
        if self.url is not None:
            try:
                UploadAddress.parse(self.url)
            except InputError as error:
                raise ValueError(f"{error.message} {error.hint}") from error
        return self


class ClipsSection(Section):
    """Video around an event, from the camera's own encoded stream; see docs/evidence.md.

    Attributes:
        enabled: keep the last seconds of each camera's stream, so that a clip can begin before its event.
        sources: by camera, another stream than the one that the model sees, such as the camera's main stream.
        ring_folder: of the last seconds; a file system in memory spares a card.
        ring_bytes: of each camera's ring.
        pre_s, post_s: before and after the event.
        longest_s: of one clip.
        segment_s: of the ring's files; each begins with a key frame.
        show_all: privacy hides something, and clips may show it all the same: the camera's stream is not encoded again.
    """

    enabled: bool = False
    sources: dict[Name, Stream] = Field(default_factory=dict, max_length=256)
    ring_folder: Path | None = None
    ring_bytes: int = Field(default=64 << 20, ge=1 << 20)
    pre_s: float = Field(default=5.0, ge=0.0, le=120.0)
    post_s: float = Field(default=5.0, gt=0.0, le=300.0)
    longest_s: float = Field(default=60.0, gt=0.0, le=900.0)
    segment_s: float = Field(default=2.0, ge=0.2, le=30.0)
    show_all: bool = False
    upload: UploadSection = Field(default_factory=UploadSection)
