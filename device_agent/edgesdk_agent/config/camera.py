"""One of the section `cameras`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgesdk_agent.cameras.decoders import Decoder
from edgesdk_agent.cameras.source_url import redact
from edgesdk_agent.config.section import Name, Section


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# `source: 0` is a USB camera's number.
Source = Annotated[str, BeforeValidator(_number_as_text), Field(min_length=1, max_length=4096)]


class CameraSection(Section):
    """One camera.

    Attributes:
        source: a file, a folder, a URL, a device's number, or one of the forms in docs/configuration.md.
        mode: `freshest` drops what is late, `every_frame` loses nothing; `auto` takes the first for live sources.
        live: whether pictures come when they come, or when they are read; by the source's nature unless given.
        fps: of what has no rate of its own; asked of a live camera.
        detect_fps: only so many frames a second are decoded to pictures and seen by the model; all unless given.
        decoder: of a network camera or film; what does not work on this device is told, and replaced by software.
        loop: begin a file or folder again at its end.
        width, height: ask a live camera for this size, pixels.
    """

    name: Name
    source: Source = Field(repr=False)
    mode: Literal["freshest", "every_frame", "auto"] = "auto"
    live: bool | None = None
    fps: float | None = Field(default=None, gt=0, le=1000)
    detect_fps: float | None = Field(default=None, gt=0, le=1000)
    decoder: Decoder = "auto"
    loop: bool = False
    width: int | None = Field(default=None, ge=1, le=16384)
    height: int | None = Field(default=None, ge=1, le=16384)

    @property
    def shown_source(self) -> str:
        """The source without user and password."""
        return redact(self.source)
