"""`edgesdk check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import (
    JsonFlag,
    add_row,
    console,
    next_command,
    plain,
    print_json,
    progress_line,
    size_text,
    table,
)

if TYPE_CHECKING:
    from rich.console import Console

    from edgesdk_converters.preflight.facts import Facts
    from edgesdk_converters.preflight.fits import Fit
    from edgesdk_converters.preflight.preflight import Preflight


def check(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model card (.yaml), .onnx, .pt2, or weights.")],
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="Device to check for; give it several times for several.")
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="fp32, fp16, int8 or mixed; several times for several. The target's own by default."),
    ] = None,
    factory: Annotated[
        str | None, typer.Option(help="package.module:function that builds the model for weights.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Layout of a detector's outputs, where it is ambiguous.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card for a weights file or an .onnx.")] = None,
    json: JsonFlag = False,
) -> None:
    """Tell whether a model fits its targets, before anything is converted.

    Says which operators a runtime refuses, the work and memory of one inference, and what INT8 leaves in float.
    The exit code is 1 where the model does not fit a target.

        edgesdk check detector.yaml --target rpi5 --target jetson-orin-nano
    """
    from edgesdk_converters.preflight.preflight import preflight

    with progress_line("check") as say:
        found = preflight(
            model,
            target or (),
            precision=precision,
            card=card,
            head=head,
            overrides={"factory": factory} if factory else None,
            progress=say,
        )
    if json:
        print_json({**found.to_json(), "fits": found.passed})
    else:
        _print(found)
    if not found.passed:
        raise typer.Exit(1)
    given = {"--card": card, "--factory": factory, "--head": head}
    options = " ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    words = [model, *(f"--target {name}" for name in target or ["rpi5"])]
    words += [*(f"--precision {name}" for name in precision or ()), *([options] if options else [])]
    next_command(f"edgesdk convert {' '.join(words)} -o OUT" if target else f"edgesdk check {' '.join(words)}")


def _print(found: Preflight) -> None:
    out = console()
    _print_facts(out, found.facts)
    answers = table("runtime", "takes it", "why")
    for answer in found.supports:
        add_row(answers, answer.name, answer.status, answer.reason)
    out.print(answers)
    if found.fits:
        _print_fits(out, found.fits)


def _print_facts(out: Console, facts: Facts) -> None:
    told = facts.to_json()
    shown = table(
        "", "", title=plain(f"{facts.name}: {facts.task}, {told['operations']} operations, opset {told['opset']}")
    )
    shown.show_header = False
    add_row(shown, "Parameters", f"{facts.graph.parameters:,}")
    sizes = told["weights_bytes"]
    assert isinstance(sizes, dict)  # noqa: S101  (for the type checker)
    add_row(shown, "Weights", ", ".join(f"{size_text(size)} in {name}" for name, size in sizes.items()))
    by_op = ", ".join(f"{op} {_share(count, facts.macs.total)}" for op, count in facts.macs.by_op.items())
    add_row(shown, "Work", f"{_count(facts.macs.total)} MACs{f': {by_op}' if by_op else ''}")
    at = f", most at {facts.memory.at}" if facts.memory.at else ""
    memory = f"{size_text(facts.memory.arena)} in fp32 (alive at once: {size_text(facts.memory.peak)}{at})"
    add_row(shown, "Activations", memory)
    for fault in facts.faults:
        add_row(shown, "Fault", fault)
    for line in facts.notes:
        add_row(shown, "Note", line)
    out.print(shown)


def _print_fits(out: Console, fits: tuple[Fit, ...]) -> None:
    shown = table("target", "verdict", "runtime", "precision", "weights", "activations")
    for fit in fits:
        cells = ["-", "-", "-", "-"]
        if fit.runtime and fit.precision:
            cells = [fit.runtime.value, fit.precision.value, size_text(fit.model_bytes), size_text(fit.arena_bytes)]
        add_row(shown, fit.target, fit.verdict, *cells)
    out.print(shown)
    lines = [f"{fit.target}: {line}" for fit in fits for line in (*fit.problems, *fit.notes, *fit.remarks)]
    for line in dict.fromkeys(lines):  # two precisions have most in common
        out.print(plain(line), highlight=False, markup=False)


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "-"


def _count(number: float) -> str:
    for unit in ("", " k", " M"):
        if number < 1000:
            return f"{number:.4g}{unit}"
        number /= 1000
    return f"{number:.4g} G"
