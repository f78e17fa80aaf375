"""What a model is, in figures that do not depend on a target (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgesdk_converters.preflight.float_parts import FloatParts, float_parts
from edgesdk_converters.preflight.graph import Graph
from edgesdk_converters.preflight.macs import Macs, count_macs
from edgesdk_converters.preflight.memory import Memory, activation_memory
from edgesdk_targets.target import Precision, Runtime

_NAMED = 3
# Who computes in 16 bits when the model is fp16; the others only store it so.
_HALF_RUNTIMES = frozenset({Runtime.ONNXRUNTIME, Runtime.TENSORRT})
_SMALL = 1  # dimensions: biases and scales keep 32 bits in an INT8 model


@dataclass(frozen=True, slots=True)
class Facts:
    """A model's figures.

    Attributes:
        name: of the card.
        task: likewise.
        faults: what makes it useless on any target.
        notes: what to know on any target.
    """

    name: str
    task: str
    graph: Graph
    macs: Macs
    memory: Memory
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    _arenas: dict[int, int] = field(default_factory=dict, repr=False)

    def model_bytes(self, precision: Precision) -> int:
        """Foresee the size of the weights in a precision."""
        size = {Precision.FP32: 4, Precision.FP16: 2}.get(precision, 1)
        total = 0
        for weight in self.graph.weights.values():
            if weight.dtype != "float32":
                total += weight.size_bytes
            else:
                total += weight.count * (4 if size == 1 and len(weight.shape) <= _SMALL else size)
        return total

    def arena_bytes(self, runtime: Runtime, precision: Precision) -> int:
        """Foresee the activation memory in a precision."""
        size = 4
        if precision is Precision.INT8:
            size = 1
        elif precision is Precision.FP16 and runtime in _HALF_RUNTIMES:
            size = 2
        if size not in self._arenas:
            self._arenas[size] = activation_memory(self.graph, float_bytes=size).arena
        return self._arenas[size]

    def float_parts(self, runtime: Runtime) -> FloatParts:
        """Foresee what an INT8 model of this runtime keeps in float."""
        return float_parts(self.graph, self.macs, runtime)

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "task": self.task,
            "opset": self.graph.opset,
            "operations": len(self.graph.ops),
            "parameters": self.graph.parameters,
            "macs": self.macs.total,
            "macs_by_op": dict(self.macs.by_op),
            "weights_bytes": {p.value: self.model_bytes(p) for p in (Precision.FP32, Precision.FP16, Precision.INT8)},
            "activations_peak_bytes": self.memory.peak,
            "activations_arena_bytes": self.memory.arena,
            "activations_peak_at": self.memory.at,
            "faults": list(self.faults),
            "notes": list(self.notes),
        }


def facts_of(name: str, task: str, graph: Graph, *, notes: Sequence[str] = (), faults: Sequence[str] = ()) -> Facts:
    """Work out a model's figures."""
    macs, memory = count_macs(graph), activation_memory(graph)
    said = [*notes]
    infinite = [name for name, weight in graph.weights.items() if weight.infinite and len(weight.shape) > 1]
    if infinite:
        said.append(f"weights are infinite: {_listed(infinite)}; INT8 and fp16 cannot hold them")
    if macs.uncounted:
        said.append(f"sizes unknown, work not counted: {_listed(macs.uncounted)}")
    if memory.unknown:
        said.append(f"{memory.unknown} values have no known size; memory is underestimated")
    if graph.nested:
        said.append(f"{graph.nested} operations inside loops or branches are not counted")
    return Facts(name, task, graph, macs, memory, (*faults, *_weight_faults(graph)), tuple(said))


def _weight_faults(graph: Graph) -> list[str]:
    broken = [name for name, weight in graph.weights.items() if weight.nan]
    return [f"weights are NaN: {_listed(broken)}"] if broken else []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
