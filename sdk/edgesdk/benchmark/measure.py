"""Measure variants one after the other, each in a fresh process; what fails is reported and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from edgesdk.benchmark.coverage.nodes import Coverage
from edgesdk.benchmark.host import HostFacts, cores
from edgesdk.benchmark.live_child import ChildFailed, Failure, LiveChild
from edgesdk.benchmark.statistics import Latency
from edgesdk.benchmark.subject import Subject, bundle_subject
from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.target import Runtime, Status
from edgesdk_targets.variant_choice import Host, is_here

log = logging.getLogger(__name__)

Hint = Literal["latency", "throughput"]
Say = Callable[[str], None]
_LOAD_S, _BUILD_S = 120.0, 1800.0  # building a TensorRT engine is part of its first load
_ANSWER_S = 60.0  # beside the time that was asked for


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure.

    Attributes:
        threads: cores to use; 0 for all of this process.
        seconds: of the steady state.
        load_s: how long loading may take; None for what the runtime usually needs at most.
    """

    hint: Hint = "latency"
    seconds: float = 5.0
    threads: int = 0
    load_s: float | None = None

    @property
    def threads_each(self) -> int:
        """Threads of one inference."""
        return 1 if self.hint == "throughput" else self.threads or cores()

    @property
    def lanes(self) -> int:
        """Inferences at the same time."""
        return (self.threads or cores()) if self.hint == "throughput" else 1


@dataclass(frozen=True, slots=True)
class Measured:
    """What one variant took.

    Attributes:
        load_ms: importing the runtime, reading and compiling the model.
        warm_up_runs: until steady; `steady` is False where it did not become so in time.
        throughput_fps: pictures a second, all lanes together.
        stages_ms: medians of the stages around inference, one thread.
        picture: height and width of the picture that preprocessing began with.
        rss_bytes: the most memory of the child, the interpreter and the runtime's libraries included.
        rss_before_bytes: of the child before the runtime and the model were loaded.
        coverage: what the runtime made of the model, where it tells.
    """

    load_ms: float
    first_ms: float
    warm_up_runs: int
    warm_up_s: float
    steady: bool
    latency: Latency
    throughput_fps: float
    rss_bytes: int
    rss_before_bytes: int
    stages_ms: dict[str, float] = field(default_factory=dict)
    picture: tuple[int, ...] = ()
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One variant's figures, or why it has none.

    Attributes:
        status: measured (on its own kind of device), simulated (it runs here, but is meant for another), or not run.
    """

    variant: Variant
    runtime: Runtime
    status: Literal["measured", "simulated", "not run"]
    plan: Plan
    measured: Measured | None = None
    failure: Failure | Literal["missing"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def effective_precision(self) -> str:
        """What the runtime computes in as it says itself, else what the session sets."""
        said = self.measured.coverage.effective_precision if self.measured and self.measured.coverage else None
        return said or self.variant.effective_precision

    def to_json(self) -> dict[str, object]:
        document: dict[str, object] = {
            "variant": self.variant.id,
            "target": self.variant.target,
            "runtime": self.runtime.value,
            "precision": self.variant.precision.value,
            "effective_precision": self.effective_precision,
            "status": self.status,
            "hint": self.plan.hint,
            "threads": self.plan.threads_each,
            "streams": self.plan.lanes,
            "failure": self.failure,
            "notes": list(self.notes),
        }
        return document | (_figures(self.measured) if self.measured else {})


def measure(subject: Subject, plan: Plan, *, load_s: float = _LOAD_S) -> Measured:
    """Measure one subject in a process of its own.

    Raises:
        ChildFailed: it refused, crashed, was killed or hung.
    """
    wait = plan.seconds + _ANSWER_S
    with LiveChild(subject) as child:
        loaded = child.ask("load", within_s=plan.load_s or load_s, threads=plan.threads_each, lanes=plan.lanes)
        warm = child.ask("warm_up", within_s=wait, seconds=plan.seconds)
        figures = child.ask("measure", within_s=wait, seconds=plan.seconds)
        stages = child.ask("stages", within_s=wait, seconds=min(plan.seconds, 1.0) / 4)
        measured = Measured(
            loaded["load_s"] * 1000,
            loaded["first_s"] * 1000,
            warm["runs"],
            warm["seconds"],
            warm["steady"],
            Latency(**figures["latency"]),
            figures["throughput_fps"] * subject.pictures,
            figures["rss"],
            loaded["rss_before"],
            stages["ms"],
            tuple(stages["picture"] or ()),
        )
        try:
            # Last, as it loads the model a second time.
            told = child.ask("coverage", within_s=wait + load_s)
        except ChildFailed as error:
            log.debug("%s", error.message)
            return measured
    return replace(measured, coverage=Coverage.from_json(told)) if told else measured


def measure_variant(bundle: Bundle, variant: Variant, runtime: Runtime, plan: Plan, host: HostFacts) -> Row:
    """Measure one variant of a bundle; a failure is part of the answer."""
    status = status_here(variant, runtime, host)
    notes = (
        [] if runtime is variant.runtime else [f"run by {runtime.value}, as {variant.runtime.value} is not installed"]
    )
    together = variant.together
    if together is not None and together.share is not None:
        notes.append(f"a cascade: the second model is asked {together.share:.0%} of the time, and the mean is its cost")
    if bundle.manifest.own_preprocess:
        notes.append("what further pictures take to be prepared for its members is part of each inference")
    try:
        subject = bundle_subject(bundle, variant, runtime=runtime)
        measured = measure(subject, plan, load_s=_BUILD_S if runtime is Runtime.TENSORRT else _LOAD_S)
    except ChildFailed as error:
        return Row(variant, runtime, "not run", plan, failure=error.kind, notes=(*notes, error.message))
    coverage = measured.coverage
    if not measured.steady:
        notes.append(
            f"not steady after {measured.warm_up_s:.1f} s: repeat with a longer --duration, on an idle machine"
        )
    if coverage is not None and coverage.fell_back_count:
        notes.append(
            f"{coverage.fell_back_count} of {coverage.nodes} nodes fell back; the first: {coverage.fell_back[0]}"
        )
    return Row(variant, runtime, status, plan, measured, notes=tuple(notes))


def measure_all(
    bundle: Bundle, variants: Sequence[tuple[Variant, Runtime]], plan: Plan, host: HostFacts, say: Say
) -> list[Row]:
    """Measure variants one after the other."""
    rows = []
    for place, (variant, runtime) in enumerate(variants, 1):
        say(f"{variant.id} ({place} of {len(variants)})")
        rows.append(measure_variant(bundle, variant, runtime, plan, host))
    return rows


def status_here(variant: Variant, runtime: Runtime, host: HostFacts) -> Literal["measured", "simulated"]:
    """Say whether a time taken here is the target's own, or only that of its file on another machine."""
    own = is_here(variant.target, Host(host.target, host.arch))
    return Status.MEASURED.value if own and runtime is variant.runtime else Status.SIMULATED.value


def _figures(measured: Measured) -> dict[str, Any]:
    return {
        "load_ms": round(measured.load_ms, 2),
        "first_ms": round(measured.first_ms, 3),
        "warm_up": {
            "runs": measured.warm_up_runs,
            "seconds": round(measured.warm_up_s, 3),
            "steady": measured.steady,
        },
        "latency_ms": measured.latency.to_json(),
        "throughput_fps": float(f"{measured.throughput_fps:.4g}"),
        "stages_ms": {name: float(f"{ms:.4g}") for name, ms in measured.stages_ms.items()},
        "picture": list(measured.picture),
        "rss_bytes": measured.rss_bytes,
        "rss_before_bytes": measured.rss_before_bytes,
        "nodes": measured.coverage.to_json() if measured.coverage else None,
    }
