"""The ways to read a dumped tensor as a picture (height, width, channels): by its shape, and by the usual mix-ups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Contract:
    """What the model takes.

    Attributes:
        layout: NCHW or NHWC.
        size: height, width.
        normalised: mean and std are applied before the model, and not inside it.
    """

    layout: str
    dtype: str
    size: tuple[int, int]
    channels: int
    normalised: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        h, w = self.size
        return (1, self.channels, h, w) if self.layout == "NCHW" else (1, h, w, self.channels)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One way to read a dump.

    Attributes:
        values: (H, W, C) float64.
        layout: of the dump: NCHW, NHWC, CHW, HWC or HW.
        mistakes: that this reading needs.
        visible: how many of them the shape alone proves.
    """

    values: Array
    layout: str
    mistakes: tuple[str, ...]
    visible: int

    @property
    def size(self) -> tuple[int, int]:
        return int(self.values.shape[0]), int(self.values.shape[1])


def readings(dump: Array, contract: Contract) -> list[Reading]:
    """Return the ways to read a dump; the plain one first.

    Raises:
        InputError: the dump is no picture of one, three or four channels, or holds several pictures.
    """
    inner, layout = _without_batch(dump)
    if inner.ndim == 2:
        plain, scrambled = inner[:, :, None], None
    elif _is_planes(inner, contract):
        layout += "CHW"
        plain, scrambled = inner.transpose(1, 2, 0), inner.reshape(*inner.shape[1:], inner.shape[0])
    elif inner.shape[2] in _CHANNELS:
        layout += "HWC"
        plain, scrambled = inner, inner.reshape(inner.shape[2], *inner.shape[:2]).transpose(1, 2, 0)
    else:
        raise _no_picture(dump, contract)
    visible: tuple[str, ...] = () if layout == contract.layout else (f"layout:{layout or 'HW'}",)
    if plain.shape[2] == 4:
        plain, scrambled, visible = plain[:, :, :3], None, (*visible, "alpha")
    found = [_reading(plain, layout, visible, (), contract)]
    if scrambled is not None and plain.shape[2] > 1:
        found.append(_reading(scrambled, layout, visible, ("reshaped",), contract))
    found.append(_reading(plain.transpose(1, 0, 2), layout, visible, ("transposed",), contract))
    return found


def _without_batch(dump: Array) -> tuple[Array, str]:
    if dump.ndim == 4 and dump.shape[0] == 1:
        return dump[0], "N"
    if dump.ndim in {2, 3}:
        return dump, ""
    if dump.ndim == 4:
        raise InputError(
            f"The dump holds {dump.shape[0]} pictures (its shape is {list(dump.shape)}).",
            hint="Dump one picture's tensor: `numpy.save(path, batch[:1])`.",
        )
    raise InputError(
        f"A dump of {dump.ndim} dimensions, {list(dump.shape)}, is no picture.",
        hint="Dump the array that the model is called with, before it is flattened.",
    )


def _is_planes(inner: Array, contract: Contract) -> bool:
    first, last = inner.shape[0] in _CHANNELS, inner.shape[2] in _CHANNELS
    if first and last:  # a picture of three rows, or of one: the contract decides
        return contract.layout == "NCHW"
    return first


def _reading(
    values: Array, layout: str, visible: tuple[str, ...], mistakes: tuple[str, ...], contract: Contract
) -> Reading:
    height, width = values.shape[:2]
    proven = len(visible)
    if (height, width) == contract.size[::-1] != contract.size:
        mistakes = (*mistakes, "size_swapped")
    elif (height, width) != contract.size:
        mistakes, proven = (*mistakes, f"size_other:{height} x {width}"), proven + 1
    return Reading(values.astype(np.float64), layout or "HW", (*visible, *mistakes), proven)


def _no_picture(dump: Array, contract: Contract) -> InputError:
    return InputError(
        f"The dump's shape {list(dump.shape)} is no picture: no axis of 1, 3 or 4 channels at either end.",
        hint=f"Dump the array that the model is called with; this model takes {list(contract.shape)}.",
    )
