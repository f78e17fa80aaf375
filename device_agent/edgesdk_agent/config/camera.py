"""One of the section `cameras`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from edgesdk_agent.cameras.decoders import Decoder
from edgesdk_agent.config.section import Name, Section
from edgesdk_agent.config.supervise import SuperviseSection
from edgesdk_targets.secret_url import SecretUrl

_LONGEST = 4096


def _source(value: object) -> object:
    # `source: 0` is a USB camera's number.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not 1 <= len(text) <= _LONGEST:
        raise ValueError(f"a source has 1..{_LONGEST} characters")
    return text


Source = Annotated[
    SecretUrl,
    BeforeValidator(_source),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": _LONGEST}),
]


class CameraSection(Section):
    """One camera.

    Attributes:
        source: a file, a folder, a URL, a device's number, or one of the forms in docs/configuration.md.
        mode: `freshest` drops what is late, `every_frame` loses nothing; `auto` takes the first for live sources.
        live: whether pictures come when they come, or when they are read; by the source's nature unless given.
        fps: of what has no rate of its own; asked of a live camera, and expected of it.
        detect_fps: only so many frames a second are decoded to pictures and seen by the model; all unless given.
        decoder: of a network camera or film; what does not work on this device is told, and replaced by software.
        loop: begin a file or folder again at its end.
        width, height: ask a live camera for this size, pixels.
        notice_sizes: whether pictures that change their size in mid-stream are noticed where FFmpeg decodes.
        isolate: read a live camera in a process of its own, which is killed when its decoder hangs; `auto` where a hardware
            decoder is used.
        supervise: when a live camera is opened again.
        age_budget_ms: from a picture to its result, for 95 of 100; `health.age_budget_ms` unless given.
        require_at_start: end with an error when it is the only camera and does not answer at the start; otherwise it is
            waited for.
    """

    name: Name
    source: Source
    mode: Literal["freshest", "every_frame", "auto"] = "auto"
    live: bool | None = None
    fps: float | None = Field(default=None, gt=0, le=1000)
    detect_fps: float | None = Field(default=None, gt=0, le=1000)
    decoder: Decoder = "auto"
    loop: bool = False
    width: int | None = Field(default=None, ge=1, le=16384)
    height: int | None = Field(default=None, ge=1, le=16384)
    notice_sizes: bool = True
    isolate: bool | Literal["auto"] = "auto"
    supervise: SuperviseSection = Field(default_factory=SuperviseSection.at_default)
    age_budget_ms: float | None = Field(default=None, ge=1, le=3_600_000)
    require_at_start: bool = True
