"""How much memory the activations take (pure).

Each value lives from the operation that makes it to the last that reads it, in the file's order. `peak` is the most that
is alive at once, and no plan needs less; `arena` is what the usual plan takes: the largest buffer first, each at the
lowest place that is free during its life. Values that only change form share their input's memory, and so does what
runtimes compute in place or inside the convolution before it, where nobody else reads its input. A convolution's own
working memory is the runtime's affair and not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk_converters.preflight.graph import Graph, Op

_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
_IN_PLACE = frozenset(
    {"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "BatchNormalization"}
)
_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Memory:
    """Activation memory of one inference, bytes.

    Attributes:
        at: name of the operation at the peak.
        unknown: how many values have no known size and are not in the figures.
    """

    peak: int
    arena: int
    at: str = ""
    unknown: int = 0


@dataclass(slots=True)
class _Buffer:
    size: int
    first: int
    last: int


def activation_memory(graph: Graph, *, float_bytes: int = 4) -> Memory:
    """Estimate the activation memory.

    Args:
        float_bytes: what a float32 value of the file takes when it runs: 4, 2 (fp16) or 1 (INT8).
    """
    buffers, unknown = _buffers(graph, float_bytes)
    alive = [0] * (len(graph.ops) + 1)
    for buffer in buffers:
        for moment in range(buffer.first, buffer.last + 1):
            alive[moment] += buffer.size
    peak = max(alive, default=0)
    moment = alive.index(peak) if alive else 0
    at = graph.ops[moment - 1].name if moment else ""
    return Memory(peak, _arena(buffers), at, unknown)


def _buffers(graph: Graph, float_bytes: int) -> tuple[list[_Buffer], int]:
    """Return every piece of memory with its life; moment 0 is before the first operation."""
    end = len(graph.ops)
    last_read = {name: moment for moment, op in enumerate(graph.ops, 1) for name in op.inputs}
    outputs, place = set(graph.outputs), dict[str, _Buffer]()
    made, unknown = list[_Buffer](), 0

    def make(name: str, moment: int) -> None:
        nonlocal unknown
        size = _size(graph, name, float_bytes)
        if size is None:
            unknown += 1
            return
        place[name] = _Buffer(size, moment, end if name in outputs else last_read.get(name, moment))
        made.append(place[name])

    for name in graph.inputs:
        make(name, 0)
    for moment, op in enumerate(graph.ops, 1):
        shared = _shares(op, moment, graph, place, float_bytes)
        for number, name in enumerate(op.outputs):
            if not name:
                continue
            if number == 0 and shared is not None:
                place[name] = shared
                shared.last = max(shared.last, end if name in outputs else last_read.get(name, moment))
            else:
                make(name, moment)
    return made, unknown


def _shares(op: Op, moment: int, graph: Graph, place: Mapping[str, _Buffer], float_bytes: int) -> _Buffer | None:
    """Return the memory of the operation's input, where its output can have it."""
    source = op.inputs[0] if op.inputs else ""
    if source not in place or not op.outputs or _size(graph, op.outputs[0], float_bytes) != place[source].size:
        return None
    if op.op in _VIEWS:
        return place[source]
    wanted_later = place[source].last > moment or source in graph.inputs
    return place[source] if op.op in _IN_PLACE and not wanted_later else None


def _size(graph: Graph, name: str, float_bytes: int) -> int | None:
    shape = graph.shapes.get(name)
    if shape is None:
        return None
    dtype = graph.dtypes.get(name, "float32")
    return math.prod(shape) * (float_bytes if dtype == "float32" else _BYTES.get(dtype, 1))


def _arena(buffers: list[_Buffer]) -> int:
    """Return the size of a plan: largest first, each at the lowest free place."""
    placed: list[tuple[int, int, _Buffer]] = []  # start, end, whose
    total = 0
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first)):
        start = 0
        for low, high, other in placed:  # in the order of their starts
            if other.first <= buffer.last and buffer.first <= other.last:
                if start + buffer.size <= low:
                    break
                start = max(start, high)
        placed.append((start, start + buffer.size, buffer))
        placed.sort(key=lambda entry: entry[0])
        total = max(total, start + buffer.size)
    return total
