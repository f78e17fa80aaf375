"""`edgesdk search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, plain, print_json, progress_line, table
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.search_run.search import Search

_NONE_FITS = 3
_SAMPLERS = ("tpe", "random", "grid", "nsga2")


def search(
    space: Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="What is searched, as data; docs/searching.md.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the search; the same one goes on with what was cut off.")
    ],
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, instead of the file's.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Begin no further trial after so long.")] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, random, grid or nsga2, instead of the file's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the file's.")] = None,
    time_s: Annotated[float, typer.Option("--slice", min=0.01, help="Seconds that each trial's model is timed.")] = 0.5,
    report: Annotated[
        Path | None, typer.Option(help="The HTML report; report.html in the folder unless given.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Search architecture, training, compression and deployment for what is best within limits; goes on where it was stopped."""
    from edgesdk.search_run.search import search as run
    from edgesdk_targets.whole_file import check_writable

    if sampler is not None and sampler not in _SAMPLERS:
        raise InputError(f"--sampler {sampler!r} is not known.", hint=f"One of: {', '.join(_SAMPLERS)}.")
    page = report or output / "report.html"
    check_writable(page, "--report")
    given = {"trials": trials, "minutes": minutes, "sampler": sampler, "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        with progress_line("search") as say:
            found = run(space, output, changes=changes, time_s=time_s, say=say)
    except KeyboardInterrupt:
        note(f"stopped; every finished trial is kept: the same command goes on with {output}")
        raise
    _write_page(found, page)
    if json:
        print_json({**found.to_json(), "report": str(page)})
    else:
        _print(found)
        note(f"report: {page}")
        if found.card is not None:
            note(f"its model: {found.card}, for other targets, to compress it or to train on")
        if found.bundle is not None:
            next_command(f"edgesdk verify {found.bundle}")
    if found.verdict.chosen is None:
        raise typer.Exit(_NONE_FITS)


def _write_page(found: Search, page: Path) -> None:
    from edgesdk.benchmark.host import host_facts
    from edgesdk.search.search_page import search_page

    host = host_facts()
    notes = [
        f"Timed on {host.cpu}, {host.cores} cores, {host.system}.",
        *(f"Beware: {line}." for line in host.warnings),
    ]
    search_page(found.space, found.trials, found.verdict, found.importance, notes).write(page)


def _print(found: Search) -> None:
    """Print the front and the baseline, and what to take."""
    from edgesdk.search.search_page import columns, row, shown

    told = [trial for trial in found.trials if trial.number in found.verdict.front or trial.is_baseline]
    if not told:
        # Where none fits, those that came nearest.
        told = sorted((trial for trial in found.trials if trial.misses), key=lambda trial: trial.over)[:5]
    rows = table(*columns(found.space))
    for trial in told:
        add_row(rows, *row(found.space, trial, found.verdict))
    console().print(rows)
    chosen = found.verdict.chosen
    why = plain(found.verdict.why)
    console().print(f"Take trial {chosen.number}: {why}." if chosen else why, highlight=False, markup=False)
    if found.importance:
        decides = ", ".join(f"{name} {shown(value)}" for name, value in list(found.importance.items())[:5])
        note(f"what decides: {plain(decides)}")
    counts = {ending: sum(t.ending == ending for t in found.trials) for ending in ("finished", "dropped", "failed")}
    note(", ".join(f"{count} {ending}" for ending, count in counts.items()))
