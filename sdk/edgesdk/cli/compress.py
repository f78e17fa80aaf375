"""`edgesdk compress`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import (
    JsonFlag,
    add_row,
    console,
    next_command,
    note,
    print_json,
    progress_line,
    size_text,
    table,
)
from edgesdk_targets.errors import GateFailed

if TYPE_CHECKING:
    from edgesdk.compression.model_size import ModelSize
    from edgesdk.compression_run.compress import Compression


def compress(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model card (.yaml) of weights with a factory.")],
    recipe: Annotated[Path, typer.Option(help="The passes and the data, as YAML: docs/compressing.md.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Device that the result is converted for.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the card, weights, bundle and report.")],
    max_drop: Annotated[
        float | None, typer.Option(help="Accuracy that may be lost in all: 0.01 is one point, and the default.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="Model card for a weights file.")] = None,
    loss: Annotated[
        str | None, typer.Option(help="package.module:function, the loss of a task that has no usual one.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file; report.html in the output folder by default.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make a trained model smaller by the passes of a recipe, judge each, and convert the result.

    A run that was stopped goes on after the last pass, or the last epoch, that it finished.

        edgesdk compress classifier.yaml --recipe recipe.yaml --target rpi5 --max-drop 0.01 -o small/
    """
    from edgesdk.compression_run.compress import compress as run_compression

    with progress_line("compress") as say:
        done = run_compression(
            model,
            recipe,
            target,
            output=output,
            max_drop=max_drop,
            card=card,
            loss=loss,
            report=report,
            progress=say,
        )
    for warning in done.warnings:
        note(f"warning: {warning}")
    if json:
        print_json(done.to_json())
    else:
        _print(done)
    note(f"report: {done.page}")
    next_command(f"edgesdk verify {done.conversion.path}")
    judged = done.reports[-1].outcome
    if max_drop is not None and (done.conversion.unproven or judged != "pass"):
        # Who asked for a limit must not take "cannot tell" for "kept".
        first = next(iter(done.conversion.unproven), None)
        reason = first.accuracy.get("reason", "its runtime is not installed here") if first else done.reports[-1].reason
        raise GateFailed(
            f"Whether --max-drop {max_drop:g} is kept cannot be told: {reason}",
            hint="Give more labelled samples in `data.evaluate`. The bundle was written.",
        )


def _print(done: Compression) -> None:
    from edgesdk.compression.taken import taken

    shown = table(
        "pass", "MACs", "numbers", "not 0", "stored", "deflated", f"{done.figure} at once", "at the end", "gate"
    )
    add_row(shown, "none", *_size(done.before), "", f"{done.score:.2%}", "")
    for report in done.reports:
        applied = "" if report.score_applied is None else f"{report.score_applied:.2%}"
        add_row(shown, report.kind, *_size(report.after), applied, f"{report.score:.2%}", report.outcome)
    out = console()
    out.print(shown)
    for line in taken(done.to_json()):
        out.print(line, highlight=False, markup=False)
    for variant in done.conversion.variants:
        size = size_text(done.conversion.sizes[variant.id])
        outcome = variant.accuracy.get("outcome", "not measured")
        out.print(f"{variant.id}: {size}, accuracy: {outcome}", highlight=False, markup=False)
    out.print(f"{done.card}", highlight=False, markup=False)
    out.print(f"{done.conversion.path}  {done.conversion.digest}", highlight=False, markup=False)


def _size(size: ModelSize) -> list[str]:
    numbers = [f"{size.macs:,}", f"{size.parameters:,}", f"{size.nonzeros:,}"]
    return [*numbers, size_text(size.bytes), size_text(size.deflated_bytes)]
