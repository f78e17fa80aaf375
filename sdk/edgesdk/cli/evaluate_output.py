"""How `edgesdk evaluate` prints what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.cli.output import add_row, console, note, plain, print_json, table
from edgesdk.evaluate.subject import Subject

if TYPE_CHECKING:
    from edgesdk.evaluate.robustness import Robustness
    from edgesdk.evaluate.scorecard import Scorecard
    from edgesdk_converters.proving.gate import Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict; with labels the figures of both models by name, and the page if one was asked for."""

    verdict: Verdict
    cards: dict[str, Scorecard]
    page: Path | None


def print_verdict(model: Subject, other: Subject, baseline: str, judged: Judged, *, json: bool) -> None:
    """Print a verdict with the figures of both models, or all of it as JSON."""
    verdict, cards = judged.verdict, judged.cards
    if json:
        found = verdict.report
        own = cards["judged"].to_json() if cards else {"task": model.task, "metrics": found["artifact_metrics"]}
        print_json(
            {
                **own,
                "verdict": verdict.outcome,
                "reason": verdict.reason,
                "needed": verdict.needed,
                "variant": model.variant,
                "runtime": model.runtime,
                "baseline": {
                    **(cards["baseline"].to_json() if cards else {}),
                    "variant": other.variant,
                    "runtime": other.runtime,
                },
                "gate": dict(found),
            }
        )
        return
    if cards:
        print_metrics({f"{baseline} (baseline)": cards["baseline"], model.variant: cards["judged"]})
    warnings = verdict.report.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        note(f"note: {plain(str(warning))}")
    if verdict.passed:
        console().print(f"pass: {plain(verdict.reason)}", highlight=False, markup=False, soft_wrap=True)


def print_metrics(cards: dict[str, Scorecard]) -> None:
    """Print the figures of one model, or of several beside each other, by name."""
    several = len(cards) > 1
    rows = table(*(("model",) if several else ()), "metric", "value", "95 % interval", "n")
    for model, card in cards.items():
        for name, figure in card.metrics.items():
            add_row(rows, *((model,) if several else ()), name, *figure.in_words(), str(figure.n))
    console().print(rows)


def print_robustness(found: Robustness) -> None:
    """Print the figure of the pictures as they are, and at each grade of each disturbance."""
    rows = table("disturbance", "grade", found.figure, "95 % interval", "unit")
    add_row(rows, "original", "", *found.original.in_words(), "")
    for curve in found.curves:
        for grade, figure in zip(curve.disturbance.grades, curve.figures, strict=True):
            add_row(rows, curve.disturbance.name, f"{grade:g}", *figure.in_words(), curve.disturbance.unit)
    console().print(rows)


def fail_unless_passed(name: str, verdict: Verdict) -> None:
    """End with exit code 3 where the verdict is no pass.

    Raises:
        GateFailed: it is not.
    """
    from edgesdk_targets.errors import GateFailed

    if verdict.outcome == "fail":
        raise GateFailed(
            f"{name} failed: {verdict.reason}",
            hint="Use a variant of higher precision; the page of --report shows what is lost.",
        )
    if verdict.outcome == "need more samples":
        raise GateFailed(
            f"{name} is not proven: {verdict.reason}",
            hint=f"Give {verdict.needed} samples in all, or allow a greater --max-drop."
            if verdict.needed
            else "The drop is about the limit itself: allow a greater --max-drop, or use a higher precision.",
        )
