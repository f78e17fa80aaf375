"""`edgesdk data dedup`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.data_options import DataPaths, EveryOption, ReportOption, WorkersOption, open_data
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, plain, print_json, progress_line, table

if TYPE_CHECKING:
    from edgesdk.data.dedup.find import Duplicates

_SHOWN = 15


def dedup(
    data: DataPaths,
    exact: Annotated[bool, typer.Option("--exact", help="Only equal pixels count.")] = False,
    every: EveryOption = 1,
    workers: WorkersOption = None,
    report: ReportOption = None,
    json: JsonFlag = False,
) -> None:
    """Find pictures that are there twice, also across sets.

    Copies count where they were encoded again, resized, or cut at the edges by up to five per cent a side.
    The exit code is 1 where one picture lies in several sets (a leak): its figure would be too good.

        edgesdk data dedup train/ test/ --report copies.html
    """
    from edgesdk.data.dedup.find import find_duplicates

    index = open_data(data, every, report)
    with progress_line("dedup", every_s=2.0) as say:
        found = find_duplicates(index, exact=exact, workers=workers, progress=say)
    if report is not None:
        from edgesdk.data.dedup.page import duplicates_page
        from edgesdk.report.place import page_path

        note(f"report: {duplicates_page(found).write(page_path(report, 'copies', first=True))}")
    if json:
        print_json(found.to_json())
    else:
        _print(found)
    for item, why in found.unread[:3]:
        note(f"not compared: {plain(item.name)}: {plain(why)}")
    if found.leaks:
        raise typer.Exit(1)
    if found.copies:
        next_command(f"edgesdk data clean {' '.join(map(str, data))} --drop copies -o OUT")


def _print(found: Duplicates) -> None:
    out = console()
    copies, leaks = found.copies, len(found.leaks)
    out.print(
        f"{copies} of {len(found.index)} pictures are copies; {leaks} pictures lie in several sets", highlight=False
    )
    if not found.groups:
        return
    shown = table("", "kept", "copies")
    for group in found.groups[:_SHOWN]:
        word = "leak" if len(group.splits) > 1 else "labels differ" if group.labels_differ else ""
        some = ", ".join(f"{item.name} ({how})" for item, how in group.others[:3])
        more = f" and {len(group.others) - 3} more" if len(group.others) > 3 else ""
        add_row(shown, word, group.kept.name, some + more)
    out.print(shown)
    if len(found.groups) > _SHOWN:
        out.print(f"… and {len(found.groups) - _SHOWN} more groups: --report or --json.", highlight=False)
