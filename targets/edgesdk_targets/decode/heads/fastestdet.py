"""FastestDet's authors' layout: one map, one box a cell.

Channels: sigmoid objectness | four raw box numbers r0..r3 | softmax of the classes. Cell (gx, gy) of a (W, H) map says
centre ((tanh r0 + gx) / W, (tanh r1 + gy) / H) and size (sigmoid r2, sigmoid r3), all as fractions of the input;
the score is objectness^0.6 * class^0.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from edgesdk_targets.decode.activation import sigmoid
from edgesdk_targets.decode.heads.head import Candidates, Decode, Head, HeadSettings, corners
from edgesdk_targets.decode.outputs import check_labels, misfit, pick
from edgesdk_targets.tensor import Array, TensorSpec


def _bind(outputs: tuple[TensorSpec, ...], settings: HeadSettings) -> Decode:
    error = misfit("Head 'fastestdet'", FASTESTDET.expects, outputs)

    def is_map(spec: TensorSpec) -> bool:
        return len(spec.shape) == 4 and spec.shape[0] == 1 and spec.shape[1] > 5

    spec = pick(outputs, "map", ("output", "output0"), is_map, error, settings.postprocess)
    check_labels(settings.labels, spec.shape[1] - 5)
    scale = settings.scale("unit")
    return partial(_decode, name=spec.name, threshold=settings.threshold, scale=scale)


def _decode(outputs: Mapping[str, Array], name: str, threshold: float, scale: Array | None) -> Candidates:
    cells = outputs[name][0]
    rows, columns = cells.shape[1:]
    table = cells.reshape(len(cells), -1)
    # class^0.4 <= 1, so a cell whose objectness^0.6 is too small needs no look at its classes.
    likely = np.flatnonzero(table[0] >= np.float32(threshold ** (1 / 0.6)) * np.float32(0.9999))
    chosen = table[:, likely].astype(np.float32, copy=False)
    best = chosen[0] ** np.float32(0.6) * chosen[5:].max(axis=0) ** np.float32(0.4)
    keep = np.flatnonzero(best >= np.float32(threshold))
    chosen, cell = chosen[:, keep], likely[keep]
    boxes = np.empty((len(keep), 4), np.float32)
    boxes[:, 0] = (np.tanh(chosen[1]) + cell % columns) / columns
    boxes[:, 1] = (np.tanh(chosen[2]) + cell // columns) / rows
    boxes[:, 2:] = sigmoid(chosen[3:5]).T
    return Candidates(corners(boxes, "cxcywh", scale), best[keep], chosen[5:].argmax(axis=0))


FASTESTDET = Head(
    about="FastestDet's authors' own export: one map of objectness, box and classes",
    expects="one output (1, 5+C, H, W)",
    overlaps=True,
    bind=_bind,
)
