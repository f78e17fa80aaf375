"""Judge a model against a target (pure): fits, fits with notes, does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgesdk_converters.preflight.facts import Facts
from edgesdk_converters.preflight.support import Support
from edgesdk_converters.routes import QUANTISED, Route
from edgesdk_targets.target import Precision, Runtime, Target

# Which codec a network camera sends unless it is set otherwise.
_USUAL_CODEC = "h264"
# A model should leave the memory to the system, the cameras and the runtime itself.
_COMFORTABLE = 0.5


@dataclass(frozen=True, slots=True)
class Fit:
    """One target's verdict.

    Attributes:
        runtime, precision: of the first way that is open; None where none is.
        model_bytes, arena_bytes: of that way, as foreseen.
        problems: why it does not fit.
        notes: what to know of this model there.
        remarks: what to know of the target, whatever the model; they do not change the verdict.
    """

    target: str
    runtime: Runtime | None = None
    precision: Precision | None = None
    model_bytes: int = 0
    arena_bytes: int = 0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> Literal["fits", "fits with notes", "does not fit"]:
        if self.problems:
            return "does not fit"
        return "fits with notes" if self.notes else "fits"

    def to_json(self) -> dict[str, object]:
        return {
            "target": self.target,
            "verdict": self.verdict,
            "runtime": self.runtime.value if self.runtime else None,
            "precision": self.precision.value if self.precision else None,
            "model_bytes": self.model_bytes,
            "arena_bytes": self.arena_bytes,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "remarks": list(self.remarks),
        }


def fit(facts: Facts, target: Target, ways: tuple[Route, ...], supported: Callable[[Route], Support]) -> Fit:
    """Judge a model against a target.

    Args:
        ways: the target's chain for the wanted precision, best first.
        supported: a runtime's answer.
    """
    notes: list[str] = []
    problems = list(facts.faults)
    chosen: Route | None = None
    refused = []
    for route in ways:
        answer = supported(route)
        if answer.status == "no":
            refused.append(f"{route.runtime.value} does not take it: {answer.reason}")
            continue
        chosen = route
        if answer.status == "not checked":
            notes.append(f"{route.runtime.value} was not asked: {answer.reason}")
        break
    common = (*facts.notes, *_agent_notes(target))
    remarks = tuple(_video_remarks(target))
    if chosen is None:
        return Fit(target.name, problems=(*problems, *refused), notes=common, remarks=remarks)
    model_bytes, arena = facts.model_bytes(chosen.precision), facts.arena_bytes(chosen.runtime, chosen.precision)
    return Fit(
        target.name,
        chosen.runtime,
        chosen.precision,
        model_bytes,
        arena,
        problems=(*problems, *_too_large(target, model_bytes, arena)),
        notes=(*refused, *notes, *common, *_memory_notes(target, model_bytes + arena), *_int8_notes(facts, chosen)),
        remarks=(*remarks, *_tail_remarks(facts, chosen)),
    )


def _too_large(target: Target, model_bytes: int, arena: int) -> Iterator[str]:
    if model_bytes > target.max_bundle_bytes:
        yield f"its weights take {_mb(model_bytes)}; {target.name} takes bundles up to {_mb(target.max_bundle_bytes)}"
    if target.memory_bytes and model_bytes + arena > target.memory_bytes:
        yield f"weights and activations take {_mb(model_bytes + arena)}; {target.name} has {_mb(target.memory_bytes)}"


def _memory_notes(target: Target, needed: int) -> Iterator[str]:
    memory = target.memory_bytes
    if memory and _COMFORTABLE * memory < needed <= memory:
        yield f"weights and activations take {_mb(needed)} of {_mb(memory)}: little is left for anything else"


def _int8_notes(facts: Facts, route: Route) -> Iterator[str]:
    if route.precision not in QUANTISED:
        return
    parts = facts.float_parts(route.runtime)
    if parts.ops:
        named = ", ".join(f"{count} {op}" for op, count in parts.ops.items())
        yield f"INT8 leaves {parts.share:.0%} of the MACs in float: {named}"
    if not facts.macs.total or parts.share >= 1:
        yield "nothing of it would be computed in INT8: take fp16 or fp32"


def _tail_remarks(facts: Facts, route: Route) -> Iterator[str]:
    tail = facts.float_parts(route.runtime).tail if route.precision in QUANTISED else {}
    if tail:
        named = ", ".join(f"{count} {op}" for op, count in tail.items())
        yield f"INT8 leaves what follows the last convolution or product in float: {named}"


def _agent_notes(target: Target) -> Iterator[str]:
    if not target.agent:
        yield f"the agent does not run there: {target.agent_note}"


def _video_remarks(target: Target) -> Iterator[str]:
    if _USUAL_CODEC not in target.video_decoders:
        has = (
            f"has hardware for {', '.join(target.video_decoders).upper()}"
            if target.video_decoders
            else "has no hardware"
        )
        yield f"network cameras usually send H264, which the processor decodes there ({has})"


def _mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
