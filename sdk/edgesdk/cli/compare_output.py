"""How `edgesdk compare` prints what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk.cli.output import add_row, console, note, plain, table

if TYPE_CHECKING:
    from edgesdk.benchmark.contest_page import FurtherTable
    from edgesdk.comparison.compare import Comparison


def print_choice(found: Comparison) -> None:
    """Print the tables, which one to take with its reason, and what is wrong with the machine."""
    from edgesdk.benchmark.contest_page import entries_table

    columns, rows = entries_table(found.entries)
    shown = table(*columns)
    for row in rows:
        add_row(shown, *row)
    console().print(shown)
    if found.figures is not None:
        for further in found.figures.tables():
            print_further(further)
        for line in found.figures.warnings:
            note(f"note: {plain(line)}")
    choice = found.choice
    said = f"Take {plain(choice.name)}: {plain(choice.why)}." if choice.name else plain(choice.why)
    console().print(said, highlight=False, markup=False)
    for line in choice.passed_over:
        note(f"  not {plain(line)}")
    for line in found.devices:
        note(f"measured: {plain(line)}")
    for line in found.host.warnings:
        note(f"warning: {line}")


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
