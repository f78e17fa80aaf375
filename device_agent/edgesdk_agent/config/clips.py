"""The section `clips`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgesdk_agent.config.section import Name, Section
from edgesdk_agent.server_address import ServerAddress
from edgesdk_agent.zones.settings import Label, PlaceName
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


class SendSection(Section):
    """Which events have their clip sent by itself; a field that is not given asks for nothing.

    Attributes:
        rules: names of rules of `events`; kinds: of such rules.
        labels: what the event is about; zones: where it is; cameras: who sees it.
        pictures: send the event's snapshot too.
    """

    rules: tuple[PlaceName, ...] = Field(default=(), max_length=256)
    kinds: tuple[Literal["object", "crossing", "occupancy", "queue", "dwell", "label"], ...] = ()
    labels: tuple[Label, ...] = Field(default=(), max_length=256)
    zones: tuple[PlaceName, ...] = Field(default=(), max_length=256)
    cameras: tuple[Name, ...] = Field(default=(), max_length=256)
    pictures: bool = False


class UploadSection(Section):
    """Where clips are sent: a server of the tus protocol (1.0), which resumes what was cut off; see docs/evidence.md.

    Attributes:
        url: `https://…`, where uploads are created; plain HTTP only to this device itself.
        token: sent as `Authorization: Bearer`.
        ca: a PEM file with the authority of the server's certificate; the system's authorities unless given.
        max_bytes_per_s: of the uplink.
        every_clip: send each clip by itself. False: only those that `send` or a command asks for.
        send: which clips go by themselves otherwise; one that fits any of these. Given, `every_clip` is off.
    """

    url: str | None = Field(default=None, max_length=2048)
    token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(default=None, max_length=_LONGEST)
    ca: Path | None = None
    max_bytes_per_s: int = Field(default=250_000, ge=1024, le=1 << 30)
    every_clip: bool = True
    send: tuple[SendSection, ...] = Field(default=(), max_length=64)

    @model_validator(mode="after")
    def _usable(self) -> UploadSection:
        if self.url is not None:
            try:
                ServerAddress.parse(self.url, "clips.upload.url")
            except InputError as error:
                raise ValueError(f"{error.message} {error.hint}") from error
        if self.send and self.every_clip and "every_clip" in self.model_fields_set:
            raise ValueError("every_clip sends each clip, so that the rules of send say nothing; give one of them")
        return self

    @property
    def sends_every_clip(self) -> bool:
        """Whether each clip goes by itself."""
        return self.every_clip and not self.send


class ClipsSection(Section):
    """Video around an event, from the camera's own encoded stream; see docs/evidence.md.

    Attributes:
        enabled: keep the last seconds of each camera's stream, so that a clip can begin before its event.
        sources: by camera, another stream than the one that the model sees, such as the camera's main stream.
        ring_folder: of the last seconds; unless given it lies in memory, and takes a quarter at most of what is free there.
        ring_bytes: of each camera's ring.
        pre_s, post_s: before the event begins, and after it ended.
        longest_s: of one clip, which grows while its event goes on.
        segment_s: of the ring's files; each begins with a key frame.
        unmasked_clips: privacy hides something, and clips may show it all the same: the camera's stream is not encoded again.
    """

    enabled: bool = False
    sources: dict[Name, Stream] = Field(default_factory=dict, max_length=256)
    ring_folder: Path | None = None
    ring_bytes: int = Field(default=64 << 20, ge=1 << 20)
    pre_s: float = Field(default=5.0, ge=0.0, le=120.0)
    post_s: float = Field(default=5.0, gt=0.0, le=300.0)
    longest_s: float = Field(default=60.0, gt=0.0, le=900.0)
    segment_s: float = Field(default=2.0, ge=0.2, le=30.0)
    unmasked_clips: bool = False
    upload: UploadSection = Field(default_factory=UploadSection.at_default)
