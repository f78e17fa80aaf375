"""`edgesdk soak`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, note, print_json, table


def soak(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The model that the agent runs.")],
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=100_000, help="How long.")] = 30.0,
    inject: Annotated[
        str, typer.Option("--inject", metavar="LIST", help="What is broken: names with commas, `all`, or nothing.")
    ] = "all",
    cameras: Annotated[int, typer.Option("--cameras", min=1, max=64, help="Virtual cameras.")] = 2,
    fps: Annotated[int, typer.Option("--fps", min=1, max=120, help="Pictures a second of each.")] = 15,
    seed: Annotated[int, typer.Option("--seed", help="Of the order of the faults.")] = 0,
    max_age_ms: Annotated[float, typer.Option("--max-age-ms", min=1, help="Allowed age of results.")] = 1000.0,
    max_recovery_s: Annotated[float, typer.Option("--max-recovery-s", min=1, help="Allowed time to recover.")] = 60.0,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page with plots.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep logs, record and samples in this new folder.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run the agent among virtual cameras and a broker, break things, and judge what it did; ends with 1 if a check fails."""
    import json as json_text
    import tempfile
    import threading
    from contextlib import ExitStack

    from edgesdk.report.place import check_report
    from edgesdk.soak.field import Field, FieldSettings
    from edgesdk.soak.injections.catalogue import injections_named
    from edgesdk.soak.line import Bounds
    from edgesdk.soak.page import soak_page
    from edgesdk.soak.run import Soak
    from edgesdk.soak.verdict import passed, verdict
    from edgesdk_targets.errors import InputError

    if report is not None:
        check_report(report)
    if not bundle.exists():
        raise InputError(
            f"{bundle} does not exist.", hint="Name a bundle: a file or a folder that `edgesdk convert` wrote."
        )
    injections = injections_named(inject)
    with ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgesdk-soak-")))
        elif keep.exists() and any(keep.iterdir()):
            raise InputError(f"{keep} is not empty.", hint="Name a new folder.")
        else:
            folder = keep.absolute()
            folder.mkdir(parents=True, exist_ok=True)
        field = Field(FieldSettings(bundle, cameras=cameras, fps=fps), folder)
        # `all` is what this machine can do; what is named is to be done.
        named = [] if inject.strip() == "all" else [one.name for one in injections]
        soak_run = Soak(
            field, injections, duration_s=minutes * 60, seed=seed, asked=named, recovery_s=max_recovery_s, say=note
        )
        recording = soak_run.run(threading.Event())
        if keep is not None:
            (folder / "samples.json").write_text(json_text.dumps(recording.to_json()))
    lines = verdict(recording, Bounds(age_ms=max_age_ms, recovery_s=max_recovery_s))
    if report is not None:
        soak_page(recording, lines).write(report)
        note(f"Report: {report}")
    good = passed(lines)
    if json:
        told = {"verdict": "pass" if good else "fail", "checks": [line.to_json() for line in lines]}
        print_json({**told, "injected": recording.to_json()["injected"], "left_out": dict(recording.left_out)})
    else:
        rows = table("check", "outcome", "seen", "allowed")
        for line in lines:
            add_row(rows, line.check, line.outcome, line.figure, line.bound)
        console().print(rows)
    if not good:
        raise typer.Exit(1)
