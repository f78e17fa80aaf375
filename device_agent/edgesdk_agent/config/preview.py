"""The section `preview`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from edgesdk_agent.config.section import Section
from edgesdk_agent.preview.listen_address import ListenAddress
from edgesdk_targets.errors import InputError


def _listen(value: str) -> str:
    try:
        ListenAddress.parse(value)
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error
    return value


class PreviewSection(Section):
    """The page with the live picture; see docs/evidence.md. There is none unless `listen` is set.

    Attributes:
        listen: `host:port`; only programs on this device reach 127.0.0.1.
        token: what a viewer types in; a new random one is printed at each start unless given.
        fps: pictures a second, at most, while somebody looks.
        width: to which a larger picture is scaled, pixels.
        max_viewers: at the same time.
    """

    listen: Annotated[str, AfterValidator(_listen)] | None = None
    token: SecretStr | None = Field(default=None, min_length=12, max_length=256)
    fps: float = Field(default=5.0, gt=0.0, le=30.0)
    width: int = Field(default=960, ge=64, le=3840)
    max_viewers: int = Field(default=3, ge=1, le=32)
