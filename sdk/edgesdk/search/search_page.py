"""The HTML report of a search: what was tried, how it went, what decides, the front, and what was chosen and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgesdk.report.curves import Line, curves
from edgesdk.report.page import Page
from edgesdk.report.plots import bars, scatter
from edgesdk.search.outcome import Trial, figure_text, loss_of
from edgesdk.search.space import Space, is_lower_better
from edgesdk.search.verdict import SearchVerdict


def search_page(
    space: Space,
    trials: Sequence[Trial],
    verdict: SearchVerdict,
    importance: Mapping[str, float],
    notes: Sequence[str] = (),
) -> Page:
    """Return the finished page.

    Args:
        notes: on what machine, and with what, it was measured.
    """
    said = f"Take trial {verdict.chosen.number}: {verdict.why}." if verdict.chosen else verdict.why
    page = Page(f"Search of {space.model} for {space.target}", said)
    page.heading("What was chosen")
    page.text(said)
    if verdict.chosen is not None:
        rows = [[name, shown(value)] for name, value in verdict.chosen.parameters.items()]
        page.table(["parameter", "value"], rows)
    finished = [trial for trial in trials if trial.ending == "finished"]
    if finished:
        page.heading("How it went")
        page.figure(_history(space, finished), _history_said(space))
    if importance:
        page.heading("What decides")
        page.figure(
            bars(list(importance), {"importance": list(importance.values())}, unit="share of the whole"),
            f"How much each parameter decides of {space.objectives[0]}, in these trials.",
        )
    if len(space.objectives) > 1 and finished:
        page.heading("The front")
        page.figure(*_front(space, finished, verdict))
    page.heading("All trials")
    page.table(columns(space), [row(space, trial, verdict) for trial in trials], _TABLE)
    page.heading("How it was searched")
    limits = {name: value for name, value in space.limits.model_dump(mode="json").items() if value}
    page.text(
        f"Sampler {space.sampler}, seed {space.seed}, {len(trials)} trials. Limits: {limits or 'of the target only'}."
    )
    for name, parameter in space.parameters.items():
        page.text(f"{name}: {parameter.model_dump(mode='json', exclude_none=True)}")
    if space.compress is not None:
        page.text(f"What is not searched of the recipe: {space.compress}")
    for line in notes:
        page.text(line)
    return page


_TABLE = "* on the front. A trial that is the same as an earlier one has that one's outcome. Limits that are missed are named."


def columns(space: Space) -> tuple[str, ...]:
    """Return the heads of a table of trials."""
    further = [name for name in ("ms", "bytes", "rss_bytes") if name not in space.objectives]
    return ("trial", *space.objectives, *further, "limits", "parameters", "seconds")


def row(space: Space, trial: Trial, verdict: SearchVerdict) -> tuple[str, ...]:
    """Return a trial's cells, in the order of `columns`."""
    mark = "*" if trial.number in verdict.front else ""
    name = f"{trial.number}{mark}{' (baseline)' if trial.is_baseline else ''}"
    figures = [figure_text(n, trial.figures[n]) if n in trial.figures else "" for n in columns(space)[1:-3]]
    if trial.ending != "finished":
        limits = f"{trial.ending}: {trial.why}"
    else:
        limits = "; ".join(miss.text() for miss in trial.misses) or "kept"
    if trial.same_as is not None:
        limits += f" (as trial {trial.same_as})"
    parameters = ", ".join(f"{n} {shown(v)}" for n, v in trial.parameters.items())
    return (name, *figures, limits, parameters, f"{trial.seconds:.1f}")


def shown(value: object) -> str:
    """Write a value for a person."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _history(space: Space, finished: Sequence[Trial]) -> str:
    name = space.objectives[0]
    best, values = math.inf, []
    for trial in finished:
        best = min(best, loss_of(trial.figures, name)) if trial.fits else best
        values.append(best)
    sign = 1.0 if is_lower_better(name) else -1.0
    numbers = [float(trial.number) for trial in finished]
    each = Line("each trial", numbers, [trial.figures[name] for trial in finished])
    known = [(n, sign * v) for n, v in zip(numbers, values, strict=True) if math.isfinite(v)]
    lines = (
        [each, Line("best that keeps all limits", [n for n, _ in known], [v for _, v in known])] if known else [each]
    )
    return curves(lines, across="trial", up=name)


def _history_said(space: Space) -> str:
    return f"{space.objectives[0]} of each trial that finished, and the best so far of those that keep all limits."


def _front(space: Space, finished: Sequence[Trial], verdict: SearchVerdict) -> tuple[str, str]:
    up, across = space.objectives[0], space.objectives[1]
    points = [(trial.figures[across], trial.figures[up], str(trial.number)) for trial in finished]
    places = {trial.number: place for place, trial in enumerate(finished)}
    line = sorted((places[number] for number in verdict.front if number in places), key=lambda p: points[p][0])
    return scatter(points, across=across, up=up, front=line), f"{up} against {across}; the line joins the front."
