"""`edgesdk tune`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, note, plain, print_json, progress_line, table

if TYPE_CHECKING:
    from edgesdk_targets.tuning.tuned import Tuning

_NOTHING_RAN = 4
# Columns of a terminal in which the whole table has room.
_WIDE = 120


class HintName(str, Enum):
    """What the model is run for."""

    latency = "latency"
    throughput = "throughput"
    age = "age"


def tune(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A .edgebundle file or its unpacked folder.")],
    hint: Annotated[
        HintName,
        typer.Option(help="The quickest answer, the most pictures a second, or the youngest results of a live camera."),
    ] = HintName.age,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only this target's variants.")] = None,
    variant: Annotated[str | None, typer.Option(help="Only this variant.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Of one inference; 0 leaves them open.")] = 0,
    streams: Annotated[int, typer.Option(min=0, help="Inferences at the same time; 0 leaves them open.")] = 0,
    fps: Annotated[float, typer.Option(min=0.1, max=1000, help="The live camera's pictures a second.")] = 30.0,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="For measuring; starting comes on top.")] = 8.0,
    again: Annotated[bool, typer.Option("--again", help="Measure although an answer is kept.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with the plot.")] = None,
    json: JsonFlag = False,
) -> None:
    """Find which variant, threads and streams are best on this machine; the agent does it at its first start.

    Settings are timed by turns in a process of their own, fewer each round. The answer is kept, and the agent uses it.
    """
    from edgesdk.benchmark.host import host_facts
    from edgesdk_targets.bundle.bundle import open_bundle
    from edgesdk_targets.core_claim import claim_cores
    from edgesdk_targets.tuning.check_cores import check_cores
    from edgesdk_targets.tuning.grid import Given
    from edgesdk_targets.tuning.setting import Hint
    from edgesdk_targets.tuning.tune import tune as find
    from edgesdk_targets.tuning.tune_options import TuneOptions

    if report is not None:
        from edgesdk_targets.whole_file import check_writable

        check_writable(report, "--report")
    if warning := check_cores(threads, streams, "--threads {} --streams {}"):
        note(f"warning: {warning}")
    host = host_facts()
    with open_bundle(bundle) as opened, progress_line("tune") as say:
        say(f"at most {seconds:g} s")
        claim = claim_cores()
        given = Given(threads, streams, (False, True) if claim is not None else (False,))
        try:
            found = find(
                opened, Hint(hint.value), TuneOptions(target, variant, given, fps=fps, budget_s=seconds, again=again)
            )
        finally:
            if claim is not None:
                claim.release()
        digest, name = opened.digest, opened.manifest.name
    if report is not None and found.measured:
        from edgesdk.tune.tuning_page import tuning_page

        tuning_page(found, name, host).write(report)
    if json:
        print_json({"bundle": str(bundle), "digest": digest, **found.to_json(), "host": host.to_json()})
    else:
        _print(found)
        for line in host.warnings if not found.kept else ():
            note(f"warning: {line}")
        if report is not None and found.measured:
            note(f"report: {report}")
    if not found.measured:
        raise typer.Exit(_NOTHING_RAN)


def _print(found: Tuning) -> None:
    from edgesdk.tune.bars import bars
    from edgesdk.tune.tuning_page import COLUMNS, NARROW, cells

    out = console()
    columns = COLUMNS if out.width >= _WIDE else NARROW
    if found.measured:
        shown = table(*columns)
        for one in found.measured:
            told = dict(zip(COLUMNS, cells(one), strict=True))
            add_row(shown, *(told[column] for column in columns))
        out.print(shown)
    for line in bars(found, columns=out.width, mark="█" if out.encoding.startswith("utf") else "#"):
        out.print(plain(line), highlight=False, markup=False, no_wrap=True, crop=False, overflow="ignore")
    out.print(plain(found.why), highlight=False, markup=False)
    for line in found.notes:
        out.print(plain(line), highlight=False, markup=False)
    for name, why in found.refused.items():
        note(f"  not {plain(name)}: {plain(why)}")
    for setting in found.skipped:
        note(f"  no time for {plain(str(setting))}")
    if found.disturbed:
        note("warning: something else was running; it is measured again in a day, or with --again")
    if found.kept:
        note("measured before; --again measures anew")
