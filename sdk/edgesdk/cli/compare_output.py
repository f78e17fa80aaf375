"""How `edgesdk compare` prints what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesdk.cli.output import add_row, console, note, plain, print_json, table

if TYPE_CHECKING:
    from edgesdk.benchmark.contest import Entry
    from edgesdk.benchmark.contest_choice import Pick
    from edgesdk.benchmark.contest_page import FurtherTable
    from edgesdk.benchmark.host import HostFacts
    from edgesdk.comparing import Figures


def print_comparison(
    entries: Sequence[Entry], choice: Pick, figures: Figures | None, host: HostFacts, threads: int
) -> None:
    """Print all of it as one JSON document."""
    from edgesdk.benchmark.contest import front

    on_front = front(entries)
    shown = [{**entry.to_json(), "front": entry.name in on_front} for entry in entries]
    measured = figures.to_json() if figures else {}
    print_json({"entries": shown, "choice": choice.to_json(), **measured, "threads": threads, "host": host.to_json()})


def print_choice(entries: Sequence[Entry], on_front: Sequence[str], choice: Pick, figures: Figures | None) -> None:
    """Print the tables, and which one to take with its reason."""
    from edgesdk.benchmark.contest_page import COLUMNS, cells

    shown = table(*COLUMNS)
    for entry in entries:
        add_row(shown, *cells(entry, entry.name in on_front))
    console().print(shown)
    if figures is not None:
        for further in figures.tables():
            print_further(further)
        for line in figures.to_json()["warnings"]:  # type: ignore[attr-defined]  # a list of texts
            note(f"note: {plain(line)}")
    said = f"Take {plain(choice.name)}: {plain(choice.why)}." if choice.name else plain(choice.why)
    console().print(said, highlight=False, markup=False)
    for line in choice.passed_over:
        note(f"  not {plain(line)}")


def print_further(further: FurtherTable) -> None:
    """Print a table; one with many figures of few models turned, so that it fits a terminal."""
    columns, rows = further.columns, further.rows
    if len(columns) > len(rows) + 1 and len(columns) > _WIDE:
        columns, rows = (
            (columns[0], *(row[0] for row in rows)),
            list(zip(columns[1:], *(r[1:] for r in rows), strict=True)),
        )
    shown = table(*columns, title=further.title)
    for row in rows:
        add_row(shown, *row)
    console().print(shown)


_WIDE = 8
