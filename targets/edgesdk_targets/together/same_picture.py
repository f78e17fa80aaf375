"""Hand a picture that was prepared for one model to another one: the same pixels, in its layout, dtype and normalisation."""

from __future__ import annotations

import numpy as np

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.together.spec import Member


class SamePicture:
    """Writes what one member's input holds into another's.

    Args:
        source, target: the members; their inputs have one size.

    Raises:
        SessionFailed: they have not.
    """

    def __init__(self, source: Member, target: Member) -> None:
        one, other = source.inputs[0], target.inputs[0]
        if _sides(one) != _sides(other):
            raise SessionFailed(
                f"{target.name} sees pictures of {list(other.shape)}, and {source.name} of {list(one.shape)}.",
                hint="Convert both for one size.",
            )
        self._turn = one.layout != other.layout and None not in (one.layout, other.layout)
        self._to_nhwc = self._turn and other.layout == "NHWC"
        whole = other.numpy_dtype.kind in "iu"
        # target = source * scale + shift, from (pixel - mean) / std on both sides.
        mean_1, std_1 = _normalisation(source)
        mean_2, std_2 = _normalisation(target)
        shape = (1, 1, 1, -1) if other.layout == "NHWC" else (1, -1, 1, 1)
        self._scale = (std_1 / std_2).astype(np.float32).reshape(shape)
        self._shift = ((mean_1 - mean_2) / std_2).astype(np.float32).reshape(shape)
        self._changes = not (np.all(self._scale == 1) and np.all(self._shift == 0))
        self._rounds = whole and one.numpy_dtype.kind == "f"
        self._scratch = np.empty(other.shape, np.float32) if self._changes or self._rounds else None

    def write(self, prepared: Array, into: Array) -> None:
        """Fill `into`, the target's input, from `prepared`, the source's."""
        seen = prepared
        if self._turn:
            seen = seen.transpose(0, 2, 3, 1) if self._to_nhwc else seen.transpose(0, 3, 1, 2)
        if self._scratch is None:
            np.copyto(into, seen, casting="unsafe")
            return
        np.multiply(seen, self._scale, out=self._scratch)
        np.add(self._scratch, self._shift, out=self._scratch)
        if self._rounds:
            np.rint(self._scratch, out=self._scratch)
        np.copyto(into, self._scratch, casting="unsafe")


def _sides(spec: TensorSpec) -> tuple[int, int, int]:
    """Return height, width and channels."""
    if len(spec.shape) != 4:
        raise SessionFailed(
            f"The input {spec.name} has the shape {list(spec.shape)}, and is no picture.",
            hint="Models that answer together take one picture each.",
        )
    if spec.layout == "NHWC":
        return spec.shape[1], spec.shape[2], spec.shape[3]
    return spec.shape[2], spec.shape[3], spec.shape[1]


def _normalisation(member: Member) -> tuple[Array, Array]:
    if member.folded:
        return np.zeros(len(member.mean)), np.ones(len(member.std))
    return np.asarray(member.mean, np.float64), np.asarray(member.std, np.float64)
