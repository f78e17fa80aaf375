"""`edgesdk convert`."""

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

if TYPE_CHECKING:
    from edgesdk_converters.convert import Conversion


def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A model card (.yaml), .onnx, .pt2, or weights.")],
    target: Annotated[
        list[str], typer.Option("--target", "-t", help="Device to build for; give it several times for several.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write, or the folder for it.")] = Path(),
    precision: Annotated[str | None, typer.Option(help="fp32 or fp16; each target's default unless given.")] = None,
    factory: Annotated[
        str | None, typer.Option(help="package.module:function that builds the model for weights.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Layout of a detector's outputs, where it is ambiguous.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card for a weights file or an .onnx.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of pictures on which the artifacts are compared.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Repeat every step.")] = False,
    json: JsonFlag = False,
) -> None:
    """Turn a trained model into one bundle for one or several targets.

    Every artifact is compared with the source model before it is written.

        edgesdk convert detector.yaml --target rpi5 --target jetson-orin-nano -o out/
    """
    from edgesdk_converters.convert import convert as run_conversion

    with progress_line("convert") as say:
        conversion = run_conversion(
            source,
            target,
            output=output,
            card=card,
            precision=precision,
            head=head,
            data=data,
            overrides={"factory": factory} if factory else None,
            cache=None if no_cache else "default",
            progress=say,
        )
    for warning in conversion.warnings:
        note(f"warning: {warning}")
    if json:
        print_json(conversion.to_json())
    else:
        _print(conversion)
    next_command(f"edgesdk run {conversion.path} --source 0")


def _print(conversion: Conversion) -> None:
    shown = table("variant", "runtime", "precision", "size", "worst difference", "status")
    for variant in conversion.variants:
        add_row(
            shown,
            variant.id,
            variant.runtime.value,
            variant.precision.value,
            size_text(conversion.sizes[variant.id]),
            _worst(variant.parity),
            variant.status,
        )
    out = console()
    out.print(shown)
    for variant in conversion.variants:
        for line in variant.notes:
            out.print(f"{variant.id}: {line}", highlight=False, markup=False)
    out.print(f"{conversion.path}  {conversion.digest}", highlight=False, markup=False)


def _worst(parity: dict[str, object]) -> str:
    worst = parity.get("worst")
    if not isinstance(worst, dict):
        return "not compared"
    return f"{worst['max_abs']:.2g} in {worst['name']} ({worst['sqnr_db']:.0f} dB)"
