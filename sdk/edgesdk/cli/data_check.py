"""`edgesdk data check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.data_options import DataPaths, EveryOption, ReportOption, WorkersOption, open_data
from edgesdk.cli.output import JsonFlag, add_row, console, next_command, note, plain, print_json, progress_line, table

if TYPE_CHECKING:
    from edgesdk.data.check import Checked

_SHOWN = 20


def check(
    data: DataPaths,
    min_side: Annotated[int, typer.Option(min=1, help="Remark on pictures with a shorter side.")] = 16,
    every: EveryOption = 1,
    workers: WorkersOption = None,
    report: ReportOption = None,
    json: JsonFlag = False,
) -> None:
    """Find what a reader would stumble over, and what is odd.

    Damaged files, pictures without labels and labels without pictures, empty classes, odd sizes and colours.
    The exit code is 1 where there is a fault; remarks alone are none.

        edgesdk data check pictures/ --report check.html
    """
    from edgesdk.data.check import check as checked_by

    index = open_data(data, every, report)
    with progress_line("check", every_s=2.0) as say:
        checked = checked_by(index, min_side=min_side, workers=workers, progress=say)
    if report is not None:
        from edgesdk.data.check_page import check_page
        from edgesdk.report.place import page_path

        note(f"report: {check_page(checked).write(page_path(report, 'check', first=True))}")
    if json:
        print_json(checked.to_json())
    else:
        _print(checked)
    if checked.faults:
        raise typer.Exit(1)
    next_command(f"edgesdk data dedup {' '.join(map(str, data))}")


def _print(checked: Checked) -> None:
    out = console()
    out.print(plain(checked.about), highlight=False, markup=False)
    if not checked.findings:
        out.print("nothing found", highlight=False)
        return
    shown = table("", "kind", "set", "name", "what")
    for finding in checked.findings[:_SHOWN]:
        word = "fault" if finding.fault else "remark"
        add_row(shown, word, finding.kind, finding.split, finding.name, finding.detail)
    out.print(shown)
    if len(checked.findings) > _SHOWN:
        out.print(f"… and {len(checked.findings) - _SHOWN} more: --report or --json lists them.", highlight=False)
    out.print(checked.counted, highlight=False)
