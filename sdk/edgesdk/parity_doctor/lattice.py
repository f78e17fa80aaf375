"""The points of the search: what can be other than the bundle says, one list for each factor, the right one first.

A factor's entries carry their mistakes. What a mistake leaves open (the fill value of a letterbox that should not be
there, the size of a crop that should not be there) costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgesdk.parity_doctor.pixels import INTERPOLATIONS, Frame
from edgesdk_targets.preprocess.spec import Preprocess

# Names of the planes that a fit knows, in its order.
PLANES = ("blue", "green", "red", "grey", "grey with red and blue swapped", "mean of the channels")
_B, _G, _R, _Y, _SWAPPED, _MEAN = range(6)
_ORDERS = {"rgb": (_R, _G, _B), "bgr": (_B, _G, _R)}
_LETTERBOXES = frozenset({"letterbox", "letterbox_corner", "letterbox_floor"})
_CROPS = frozenset({"center_crop", "crop_after_resize"})
_FRACTIONS = (0.875, 1.0, 0.75, 0.8, 0.9, 0.95)
PAD_VALUES = (0, 114, 127, 128, 255)


@dataclass(frozen=True, slots=True)
class Colour:
    """Which plane (an index into `PLANES`) each channel of the tensor holds."""

    planes: tuple[int, ...]
    mistakes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pad:
    """What fills the border: a pixel value, or None for 0 after mean and std."""

    value: float | None
    mistakes: tuple[str, ...]


def right_frame(spec: Preprocess) -> Frame:
    return Frame(True, spec.resize, spec.crop_fraction, spec.size, spec.interpolation)


def colours(spec: Preprocess, channels: int) -> list[Colour]:
    """Return the colour orders of a tensor of so many channels."""
    if channels == 1:
        if spec.color != "gray":
            return [Colour((_Y,), ("gray_fed",))]
        planes = [Colour((p,), (f"one_plane:{PLANES[p]}",)) for p in (_B, _G, _R)]
        wrong = [Colour((_SWAPPED,), ("gray_weights_swapped",)), Colour((_MEAN,), ("gray_mean",))]
        return [Colour((_Y,), ()), *wrong, *planes]
    if spec.color == "gray":
        fed = [Colour(planes, (f"colour_fed:{order.upper()}",)) for order, planes in _ORDERS.items()]
        return [*fed, Colour((_Y,) * 3, ("colour_fed:grey repeated",))]
    other = "bgr" if spec.color == "rgb" else "rgb"
    return [
        Colour(_ORDERS[spec.color], ()),
        Colour(_ORDERS[other], (f"channels_swapped:{other.upper()}",)),
        Colour((_Y,) * 3, ("gray_fed",)),
    ]


def pads(spec: Preprocess, frame: Frame) -> list[Pad]:
    """Return the fill values of a frame's border."""
    if frame.resize not in _LETTERBOXES:
        return [Pad(0, ())]
    own = spec.resize == "letterbox"
    values = dict.fromkeys((spec.pad, *PAD_VALUES))
    found = [Pad(v, () if v == spec.pad or not own else (f"pad:{v}",)) for v in values]
    return [*found, Pad(None, ("pad_after_normalising",) if own else ())]


def frames(
    spec: Preprocess, size: tuple[int, int], most: int, *, exif: bool
) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """Yield frames with up to `most` mistakes, those with the fewest first.

    Args:
        size: of the dump.
        exif: the picture is stored turned, so that it matters.
    """
    base = replace(right_frame(spec), size=size)
    found: list[tuple[Frame, tuple[str, ...]]] = []
    for geometry, of_geometry in _geometries(spec, base):
        for interpolation in dict.fromkeys((base.interpolation, *INTERPOLATIONS)):
            of_filter = () if interpolation == base.interpolation else (f"interpolation:{interpolation}",)
            for upright in (True, False) if exif else (True,):
                mistakes = (*(() if upright else ("exif_ignored",)), *of_geometry, *of_filter)
                found.append((replace(geometry, interpolation=interpolation, upright=upright), mistakes))
    yield from (item for item in sorted(found, key=lambda item: len(item[1])) if len(item[1]) <= most)


def _geometries(spec: Preprocess, base: Frame) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    yield base, ()
    if spec.resize != "stretch":
        yield replace(base, resize="stretch"), ("stretched",)
    if spec.resize != "letterbox":
        yield replace(base, resize="letterbox"), ("letterboxed",)
        yield replace(base, resize="letterbox_corner"), ("letterboxed",)
    else:
        yield replace(base, resize="letterbox_corner"), ("letterbox_corner",)
        yield replace(base, resize="letterbox_floor"), ("letterbox_rounding",)
    yield from _crops(spec, base)
    yield replace(base, resize="crop_only"), ("crop_only",)


def _crops(spec: Preprocess, base: Frame) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    own = spec.resize == "center_crop"
    for fraction in dict.fromkeys((spec.crop_fraction, *_FRACTIONS)) if own else (0.875, 1.0):
        mistakes: tuple[str, ...] = ("center_cropped",)
        if own:
            mistakes = () if fraction == spec.crop_fraction else (f"crop_fraction:{fraction:g}",)
            if not mistakes:
                yield replace(base, resize="crop_after_resize"), ("crop_after_resize",)
                continue
        yield replace(base, resize="center_crop", crop_fraction=fraction), mistakes
        # In the order of torchvision: a part of a pixel away, and no mistake of its own beside the wrong fraction.
        yield replace(base, resize="crop_after_resize", crop_fraction=fraction), mistakes
