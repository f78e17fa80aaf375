"""`edgesdk doctor` and `edgesdk doctor parity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, plain, print_json, table

if TYPE_CHECKING:
    from edgesdk.parity_doctor.diagnosis import Diagnosis

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
doctor = app
_DIFFERS = 3


@app.callback(invoke_without_command=True)
def installed(context: typer.Context, json: JsonFlag = False) -> None:
    """Say what is installed, what is missing, and the line that mends it."""
    if context.invoked_subcommand is not None:
        return
    import platform

    from rich.markup import escape

    from edgesdk import __version__
    from edgesdk.doctor import examine
    from edgesdk_targets.variant_choice import this_host

    findings = examine()
    host = this_host()
    if json:
        print_json(
            {
                "edgesdk": __version__,
                "host": {"arch": host.arch, "target": host.target, "system": platform.platform()},
                "findings": [finding.to_json() for finding in findings],
            }
        )
        return
    out = console()
    out.print(f"edgesdk {__version__} on {platform.platform()}, target {host.target or 'unknown'}", highlight=False)
    rows = table("part", "what", "state", "version", "to mend it")
    colours = {"ok": "green", "missing": "yellow", "broken": "red"}
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        rows.add_row(finding.part, finding.name, state, escape(finding.version), escape(finding.mend))
    out.print(rows)


@app.command()
def parity(
    context: typer.Context,
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="The bundle that answers well.")],
    tensor: Annotated[Path, typer.Option(help="What your application fed to its model: numpy.save('dump.npy', x).")],
    image: Annotated[Path, typer.Option(help="The picture file that it was made from.")],
    outputs: Annotated[Path | None, typer.Option(help="What its model answered (.npy, or .npz by name).")] = None,
    variant: Annotated[str | None, typer.Option(help="Ask this variant for the outputs to compare with.")] = None,
    json: JsonFlag = False,
) -> None:
    """Say why an application's model answers differently: wrong channel order, scale, resize, softmax…"""
    from edgesdk.parity_doctor.examine import examine_parity

    found = examine_parity(bundle, tensor, image, outputs, variant=variant)
    if json or (context.parent is not None and context.parent.params.get("json")):
        print_json({"bundle": str(bundle), "tensor": str(tensor), "image": str(image), **found.to_json()})
    else:
        for diagnosis in (found.input, *found.outputs):
            _print(diagnosis)
    if not found.matches:
        raise typer.Exit(_DIFFERS)


def _print(diagnosis: Diagnosis) -> None:
    out = console()
    subject = "The input" if diagnosis.subject == "input" else f"Output {plain(diagnosis.subject)!r}"
    verdicts = {
        "matches": "is what the bundle asks for",
        "explained": "differs, and this explains it",
        "not explained": "differs, and no usual mistake explains it",
    }
    out.print(f"{subject} {verdicts[diagnosis.verdict]}{_evidence(diagnosis)}", highlight=False, markup=False)
    for mistake in diagnosis.mistakes:
        out.print(f"  {mistake.name}: {plain(mistake.says)}.", highlight=False, markup=False, soft_wrap=True)
        out.print(f"    → {plain(mistake.change)}", highlight=False, markup=False, soft_wrap=True)
    if diagnosis.also:
        others = "; or ".join(" with ".join(other.mistakes) or "nothing" for other in diagnosis.also)
        out.print(f"  Explained as well by: {others}", highlight=False, markup=False, soft_wrap=True)
    if diagnosis.nearest:
        rows = table("nearest", "explains", "grey levels left")
        for other in diagnosis.nearest:
            left = "" if other.grey_levels is None else f"{other.grey_levels:.1f}"
            add_row(rows, ", ".join(other.mistakes) or "as it should be", f"{max(0.0, other.share):.0%}", left)
        out.print(rows)
    for line in diagnosis.notes:
        out.print(f"  {plain(line)}", highlight=False, markup=False, soft_wrap=True)


def _evidence(diagnosis: Diagnosis) -> str:
    before, after = diagnosis.before_db, diagnosis.after_db
    if diagnosis.verdict == "explained" and after is not None:
        was = "shapes that cannot be compared" if before is None else f"{before:.1f} dB"
        return f": from {was} to {after:.1f} dB."
    known = after if before is None else before
    return "." if known is None else f" ({known:.1f} dB)."
