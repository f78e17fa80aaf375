"""What is said of a desired state whose settings were taken back: they are refused, so that the state is tried again."""

from __future__ import annotations

from edgesdk_targets.messages import DesiredReport, Refusal

MOST_REFUSALS = 64


def without_settings(report: DesiredReport, why: str) -> DesiredReport:
    """Return a report in which the settings and the bundle are not applied any more, and why."""
    applied = {name: value for name, value in report.applied.items() if name not in {"config", "bundle"}}
    lost = Refusal(what="settings", why=f"taken back: {why}"[:4096])
    return with_refusal(report.model_copy(update={"applied": applied, "pending": ()}), lost)


def with_refusal(report: DesiredReport, refusal: Refusal) -> DesiredReport:
    """Return a report that also says this; the newest word on the same thing holds."""
    others = tuple(one for one in report.refused if one.what != refusal.what)
    return report.model_copy(update={"refused": (*others, refusal)[-MOST_REFUSALS:]})
