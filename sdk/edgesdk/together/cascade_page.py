"""The HTML report of a cascade: what each threshold costs and gives, and what its members give for the same time."""

from __future__ import annotations

from edgesdk.report.curves import Line, curves
from edgesdk.report.page import Page
from edgesdk.together.cascade import Calibrated, Cascade


def cascade_page(made: Cascade) -> Page:
    """Return the finished page."""
    page = Page(
        f"Cascade {made.path.name}", f"{len(made.calibrated)} of {len(made.variants)} variants were calibrated here."
    )
    for one in made.calibrated.values():
        _variant(page, one)
    return page


def _variant(page: Page, one: Calibrated) -> None:
    chosen, first, second = one.chosen, one.points[0], one.points[-1]
    page.heading(one.variant)
    page.text(said(one))
    line = Line("cascade", [p.ms for p in one.points], [p.accuracy for p in one.points])
    members = [
        Line("first alone", [one.ms[0]], [first.accuracy]),
        Line("second alone", [one.ms[1]], [second.accuracy]),
        Line("chosen", [chosen.ms], [chosen.accuracy]),
    ]
    page.figure(
        curves([line, *members], across="ms of a picture, mean", up="accuracy"),
        "What each threshold costs and gives on the very pictures that it was chosen on, beside the members alone.",
    )
    page.table(BUDGET_COLUMNS, budget_rows(one), _BUDGETS)


_BUDGETS = (
    "What each gives for a mean time of a picture: the cascade on pictures that did not choose its threshold, the best member "
    "that fits on all. A budget below the second model's time is compared with the first alone."
)
BUDGET_COLUMNS = ("at most, ms", "cascade", "one member", "which", "gained")


def budget_rows(one: Calibrated) -> list[tuple[str, ...]]:
    """Return what the cascade and its members give at several budgets."""
    return [
        (f"{b.ms:.3g}", _shown(b.cascade, ".4f"), f"{b.single:.4f}", b.member, _shown(b.gained, "+.4f"))
        for b in one.budgets
    ]


def _shown(value: float | None, form: str) -> str:
    return "too few pictures" if value is None else format(value, form)


def said(one: Calibrated) -> str:
    """Say in words what was chosen."""
    chosen = one.chosen
    text = (
        f"Below {chosen.threshold:.4f} the second model is asked: about {chosen.share:.1%} of {one.pictures} pictures, "
        f"{chosen.ms:.3g} ms each in the mean, {chosen.accuracy:.4f} right"
    )
    alone = ", ".join(
        f"{name} {point.accuracy:.4f} in {ms:.3g} ms"
        for name, point, ms in zip(("first", "second"), (one.points[0], one.points[-1]), one.ms, strict=True)
    )
    prepare = one.answered.prepare_ms
    own = (
        f" Of these {prepare:.3g} ms prepare each picture a second time, as the second model sees it."
        if prepare
        else ""
    )
    held = " There are too few pictures to say what it gives on others."
    if one.held_out:
        held = f" On pictures that the threshold was not chosen on: {one.held_out.accuracy:.4f}."
    return f"{text} (alone: {alone}).{own}{held}"
