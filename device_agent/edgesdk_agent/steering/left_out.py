"""What was set from afar and does not fit the file any more: left out, as little of it as possible, and said so.

The file was edited, or a bundle is gone. What is left out is not in effect, so `reported` must not call it applied; it is
called refused, by which the desired state is tried again as soon as it comes.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from edgesdk_agent.config.overlay import Layer, Overlay
from edgesdk_agent.desired.taken_back import with_refusal
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Refusal

if TYPE_CHECKING:
    from edgesdk_agent.config.loading import LoadedConfig
    from edgesdk_agent.config.source import ConfigSource

# The parts of a layer, the one that is missed least first, and what each is called in a report and for people.
_PARTS = {
    "bundle": ("bundle", "the bundle that was asked for"),
    "set": ("", "what commands set"),
    "desired": ("config", "the settings of the desired state"),
}


def load_what_fits(source: ConfigSource, overlay: Overlay) -> tuple[LoadedConfig, Overlay, str]:
    """Return the configuration with as much of an overlay as fits, that much of it, and what is to be told.

    Raises:
        InputError: the file is wrong by itself.
    """
    try:
        return source.load(overlay.layer), overlay, ""
    except InputError as error:
        why = error.message
    for count in range(1, len(_PARTS)):
        for gone in combinations(_PARTS, count):
            layer = _without(overlay.layer, gone)
            try:
                return source.load(layer), *_told(overlay, layer, gone, why)
            except InputError:
                continue
    layer = _without(overlay.layer, tuple(_PARTS))
    return source.load(layer), *_told(overlay, layer, tuple(_PARTS), why)


def _without(layer: Layer, gone: tuple[str, ...]) -> Layer:
    empty = Layer()
    return layer.model_copy(update={name: getattr(empty, name) for name in gone})


def _told(overlay: Overlay, layer: Layer, gone: tuple[str, ...], why: str) -> tuple[Overlay, str]:
    report = overlay.report
    really = [name for name in gone if getattr(overlay.layer, name)]
    for name in really:
        part, _ = _PARTS[name]
        if part in report.applied:
            applied = {one: value for one, value in report.applied.items() if one != part}
            refusal = Refusal(what=part, why=f"left out at the start: {why}"[:4096])
            report = with_refusal(report.model_copy(update={"applied": applied}), refusal)
    told = f"{' and '.join(_PARTS[name][1] for name in really)} does not fit any more and is left out: {why}"
    return overlay.but(layer=layer, report=report), told[:1].upper() + told[1:]
