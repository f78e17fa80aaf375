"""Nodes as executed, and what follows from them (pure).

A file says int8; whether the runtime computes in int8 is another matter: a pattern that it does not know runs in float
between two conversions, slower than float alone. Only the nodes that multiply are asked, since the others cost little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgesdk_targets.target import Precision

# How the operators that multiply are called, in any of the runtimes; lower case, without `_`.
_MULTIPLYING = ("conv", "matmul", "gemm", "fullyconnected", "lstm", "gru", "rnn", "innerproduct", "attention")
# Operators whose name contains one of the above and which do not multiply.
_NOT_MULTIPLYING = ("convert", "convertlike")
_NAMED_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class ExecutedNode:
    """One node as the runtime executes it.

    Attributes:
        precision: `f32`, `f16`, `bf16`, `i8`, or the runtime's own word.
        where: what executes it: an execution provider or delegate.
        ms: time in one run, where it was measured.
    """

    name: str
    op: str
    precision: str
    where: str
    ms: float | None = None

    @property
    def multiplies(self) -> bool:
        op = self.op.lower().replace("_", "")
        return op not in _NOT_MULTIPLYING and any(word in op for word in _MULTIPLYING)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the nodes say of the whole.

    Attributes:
        multiplying: how many of the nodes that multiply are computed in each precision.
        time_share: of one run's time by precision, all nodes; empty where it was not measured.
        fell_back: the nodes that run otherwise than asked, and why; the first twenty.
        fell_back_count: all of them.
    """

    nodes: int
    multiplying: dict[str, int]
    time_share: dict[str, float] = field(default_factory=dict)
    fell_back: tuple[str, ...] = ()
    fell_back_count: int = 0

    @property
    def effective_precision(self) -> str | None:
        """The precision of most of the nodes that multiply; None where none does."""
        return max(self.multiplying, key=lambda name: self.multiplying[name]) if self.multiplying else None

    def to_json(self) -> dict[str, object]:
        return {
            "nodes": self.nodes,
            "multiplying": self.multiplying,
            "time_share": {name: round(share, 3) for name, share in self.time_share.items()},
            "fell_back_count": self.fell_back_count,
            "fell_back": list(self.fell_back),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Coverage:
        """Read what `to_json` wrote."""
        return cls(**{**said, "fell_back": tuple(said["fell_back"])})


def summarise(nodes: Sequence[ExecutedNode], precision: Precision, home: str) -> Coverage:
    """Count what runs in which precision, and what runs otherwise than asked.

    Args:
        precision: of the variant: in int8 a node that multiplies in float has fallen back. (In `mixed` that is meant.)
        home: where all nodes should run: the first execution provider, or the delegate; empty where there is one place.
    """
    multiplying = Counter(node.precision for node in nodes if node.multiplies)
    timed: Counter[str] = Counter()
    for node in nodes:
        timed[node.precision] += node.ms or 0.0  # type: ignore[assignment]
    total = sum(timed.values())
    fallen = [text for node in nodes if (text := _why(node, precision, home))]
    return Coverage(
        len(nodes),
        dict(multiplying.most_common()),
        {name: ms / total for name, ms in timed.most_common()} if total else {},
        tuple(fallen[:_NAMED_AT_MOST]),
        len(fallen),
    )


def _why(node: ExecutedNode, precision: Precision, home: str) -> str:
    if home and node.where != home:
        return f"{node.op} {node.name}: runs on {node.where}, not {home}"
    if precision is Precision.INT8 and node.multiplies and node.precision != "i8":
        return f"{node.op} {node.name}: computes in {node.precision}"
    return ""
