"""How a source is to be opened, and the options that stand in a source's own text (`synthetic:?width=320&seed=1`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from urllib.parse import unquote

from edgesdk_agent.cameras.decoders import Decoder
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is to be opened.

    Attributes:
        live: None for what the source is by nature. True plays a recording at its own speed, as a camera would; False
            takes a network stream for a recording, whose end is an end, and never connects again.
        fps: frames a second of what has no rate of its own; asked of a camera.
        detect_fps: only so many frames a second are decoded to pictures and handed on, evenly spaced; the others are
            counted as skipped. A source that makes its pictures at will is asked for that many.
        decoder: what decodes a network camera or a film: `auto`, `software`, `gstreamer`, `nvdec`, `v4l2m2m`, `vaapi`. What
            does not work here is told, and replaced by software.
        loop: begin a recording again at its end.
        width, height: asked of a camera; the size of a synthetic one.
        frames, seed: of a synthetic source.
        truth: the file to which the conveyor writes what is really there.
        open_timeout_s, read_timeout_s: for network sources.
        attempts: to open a lost live camera again, before it is given up.
        supervision: what a live camera is held to, in place of `read_timeout_s`, `attempts` and the defaults.
        notice_sizes: whether pictures that change their size in mid-stream are noticed where FFmpeg decodes.
        isolate: read a live camera in a process of its own, which is killed when it hangs; `auto` where a hardware decoder
            is used.
        supervised: False opens a live camera as it is, for whoever watches it.
        must_open: False leaves it to the first read to open what may have to be waited for: a live camera, or a recording
            behind an address. A live one that does not answer then counts as lost, and is tried again.
    """

    live: bool | None = None
    fps: float | None = None
    detect_fps: float | None = None
    decoder: Decoder = "auto"
    loop: bool = False
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    seed: int = 0
    truth: str | None = None
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    attempts: int = 5
    supervision: SupervisionLimits | None = None
    notice_sizes: bool = True
    isolate: bool | Literal["auto"] = "auto"
    supervised: bool = True
    must_open: bool = True

    def limits(self) -> SupervisionLimits:
        """Return what a live camera is held to."""
        if self.supervision is not None:
            return self.supervision
        return SupervisionLimits(silent_after_s=self.read_timeout_s, attempts=self.attempts)


def with_values(options: SourceOptions, values: Mapping[str, Any]) -> SourceOptions:
    """Return `options` with `values` in their place.

    Raises:
        InputError: a name is no option.
    """
    known = [field.name for field in fields(SourceOptions)]
    if unknown := next((name for name in values if name not in known), None):
        raise InputError(f"There is no option {unknown!r} for a source.", hint=f"One of {', '.join(known)}.")
    return replace(options, **values)


def _truth_value(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", ""}:
        return True
    if text.lower() in {"0", "false", "no"}:
        return False
    raise ValueError(text)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "live": _truth_value,
    "fps": float,
    "detect_fps": float,
    "loop": _truth_value,
    "width": int,
    "height": int,
    "frames": int,
    "seed": int,
    "truth": str,
}


def with_text_options(options: SourceOptions, source: str, text: str) -> SourceOptions:
    """Return `options` with those of `text`, such as `fps=30&frames=100`, in their place.

    Raises:
        InputError: an option is unknown, or its value cannot be read.
    """
    values: dict[str, Any] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        if name not in _READERS:
            raise InputError(
                f"The source {source!r} has an unknown option {name!r}.",
                hint=f"One of {', '.join(_READERS)}.",
            )
        try:
            values[name] = _READERS[name](unquote(value))
        except ValueError as error:
            raise InputError(
                f"The source {source!r} says {name}={value!r}, which is no {_kind(name)}.",
                hint=f"For instance {name}={_EXAMPLES[name]}.",
            ) from error
    return replace(options, **values)


_EXAMPLES = {
    "live": "1",
    "fps": "30",
    "detect_fps": "5",
    "loop": "1",
    "width": "640",
    "height": "480",
    "frames": "100",
    "seed": "1",
    "truth": "truth.jsonl",
}


def _kind(name: str) -> str:
    return {"live": "yes or no", "loop": "yes or no", "fps": "number", "detect_fps": "number"}.get(name, "whole number")
