"""What the weights of convolutions and matrix products meet: the mean of their inputs, and how those go together.

Rule: memory is that of one sample and of the results. Of each sample some places of the map are read, chosen by a fixed seed:
neighbouring places tell nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    import onnx

_SEED = 8
_PLACES = 512  # of one sample
Shapes = Mapping[str, tuple[int, ...]]
_OWN_PADDING = ("", "NOTSET", "VALID")


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the inputs that a layer's weights meet, group by group.

    Attributes:
        mean: (G, K).
        second: (G, K, K), the mean of x·xᵀ.
    """

    mean: Array
    second: Array

    @property
    def about_mean(self) -> Array:
        """Return (G, K, K), the covariance."""
        result: Array = self.second - self.mean[:, :, None] * self.mean[:, None, :]
        return result


def readable(node: onnx.NodeProto) -> bool:
    """Tell whether what a layer's weights meet can be told here."""
    padding = next((a.s.decode() for a in node.attribute if a.name == "auto_pad"), "")
    return node.op_type in {"Gemm", "MatMul"} or (node.op_type == "Conv" and padding in _OWN_PADDING)


def input_moments(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, Array]], nodes: Sequence[onnx.NodeProto], shapes: Shapes
) -> dict[str, Moments]:
    """Run a float model and return the moments by node name.

    Args:
        model: with the type and size of every tensor inside.
        nodes: layers of it that are `readable`.
        shapes: of their weights, by node name: (O, I / G, …) of a convolution, (O, I) of a product.
    """
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    inputs, outputs = ({value.name for value in part} for part in (model.graph.input, model.graph.output))
    read = list(dict.fromkeys(node.input[0] for node in nodes))
    inner = [name for name in read if name not in inputs]
    known = {value.name: value for value in model.graph.value_info}
    probe.graph.output.extend(known[name] for name in inner if name not in outputs)
    session = session_of(probe.SerializeToString())
    rng = np.random.default_rng(_SEED)
    sums: dict[str, tuple[Array, Array]] = {}
    counts: dict[str, int] = {}
    for feed in feeds:
        values = dict(zip(inner, session.run(inner, dict(feed)), strict=True)) if inner else {}
        for node in nodes:
            value = values[node.input[0]] if node.input[0] in values else feed[node.input[0]]
            met = _met(node, value, shapes[node.name], rng)
            added = met.sum(axis=1), met.transpose(0, 2, 1) @ met
            old = sums.get(node.name)
            sums[node.name] = added if old is None else (old[0] + added[0], old[1] + added[1])
            counts[node.name] = counts.get(node.name, 0) + met.shape[1]
    return {name: Moments(one / counts[name], two / counts[name]) for name, (one, two) in sums.items()}


def _met(node: onnx.NodeProto, value: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return what the weights meet at some places, (G, P, K) float64.

    Their sums decide where a weight is rounded to, which is not to depend on the last digits of a float32.
    """
    if node.op_type != "Conv":
        rows = value.reshape(-1, value.shape[-1])
        return rows[_some(len(rows), rng)][None].astype(np.float64)
    attributes = {a.name: a for a in node.attribute}
    rank = len(shape) - 2
    given = {
        name: list(attributes[name].ints) if name in attributes else [] for name in ("pads", "strides", "dilations")
    }
    pads, strides = given["pads"] or [0] * (2 * rank), given["strides"] or [1] * rank
    dilations = given["dilations"] or [1] * rank
    groups = attributes["group"].i if "group" in attributes else 1
    padded = np.pad(value, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(shape[2:], dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    every = (slice(None), slice(None))
    windows = windows[(*every, *(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations))]
    places = (windows.shape[0], *windows.shape[2 : 2 + rank])
    batch, *where = np.unravel_index(_some(int(np.prod(places)), rng), places)
    chosen: tuple[Any, ...] = (batch, slice(None), *where)
    met = windows[chosen]  # (P, C, *kernel)
    result: Array = met.reshape(len(met), groups, -1).transpose(1, 0, 2).astype(np.float64)
    return result


def _some(count: int, rng: np.random.Generator) -> Array:
    return rng.choice(count, _PLACES, replace=False) if count > _PLACES else np.arange(count)
