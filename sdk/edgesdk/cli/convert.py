"""`edgesdk convert`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from edgesdk_converters.conversion import Conversion

_SHOWN_LAYERS = 15


def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A model card (.yaml), .onnx, .pt2, or weights.")],
    target: Annotated[
        list[str], typer.Option("--target", "-t", help="Device to build for; give it several times for several.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write, or the folder for it.")] = Path(),
    precision: Annotated[
        list[str] | None,
        typer.Option(
            help="fp32, fp16, int8 or mixed; several times for several variants. The target's own by default."
        ),
    ] = None,
    factory: Annotated[
        str | None, typer.Option(help="package.module:function that builds the model for weights.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Layout of a detector's outputs, where it is ambiguous.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card for a weights file or an .onnx.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Pictures on which the artifacts are compared; labelled, their accuracy too.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Accuracy that an artifact may lose: 0.01 is one point, and the default.")
    ] = None,
    calib_data: Annotated[
        Path | None, typer.Option(help="Pictures for INT8 ranges: a folder, a video, or an .npy. Not those of --data.")
    ] = None,
    calib_count: Annotated[int, typer.Option(min=1, help="How many of them are chosen.")] = 300,
    keep_float: Annotated[
        list[str] | None, typer.Option(help="Pattern of names of layers that INT8 leaves in float, as '/head/*'.")
    ] = None,
    no_tune: Annotated[
        bool,
        typer.Option("--no-tune", help="Do not choose other weights for INT8 where plain INT8 is not good enough."),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each layer costs in INT8.")] = False,
    batch: Annotated[
        int, typer.Option(min=1, help="Pictures of one inference; for who asks about many at once. No INT8 then.")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(help="HTML file about accuracy; beside it, with --explain, about layers.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Repeat every step.")] = False,
    json: JsonFlag = False,
) -> None:
    """Turn a trained model into one bundle for one or several targets.

    Every artifact is compared with the source model before it is written; with --data, its accuracy is measured, too.

        edgesdk convert detector.yaml --target rpi5 --target jetson-orin-nano -o out/

        edgesdk convert detector.yaml --target rpi5 --precision int8 --calib-data pictures/ --data labelled/
    """
    from edgesdk.conversion import convert as run_conversion

    with progress_line("convert") as say:
        conversion = run_conversion(
            source,
            target,
            output=output,
            card=card,
            precision=precision,
            head=head,
            data=data,
            calib_data=calib_data,
            calib_count=calib_count,
            max_drop=max_drop,
            keep_float=keep_float or (),
            tune=not no_tune,
            explain=explain,
            batch=batch,
            report=report,
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
    next_command(f"edgesdk verify {conversion.path}")
    if report is not None:
        from edgesdk.report.place import pages_at

        for page in pages_at(report):
            note(f"report: {page}")
    if max_drop is not None and conversion.unproven:
        # Who asked for a limit must not take "cannot tell" for "kept".
        first = conversion.unproven[0]
        raise GateFailed(
            f"{first.id}: whether it keeps --max-drop {max_drop:g} cannot be told: "
            f"{first.accuracy.get('reason', 'its runtime is not installed here')}",
            hint="Give more labelled samples in --data. The bundle was written.",
        )


def _print(conversion: Conversion) -> None:
    shown = table("variant", "runtime", "precision", "size", "worst difference", "accuracy", "status")
    for variant in conversion.variants:
        add_row(
            shown,
            variant.id,
            variant.runtime.value,
            variant.precision.value,
            size_text(conversion.sizes[variant.id]),
            _worst(variant.parity),
            str(variant.accuracy.get("outcome", "not measured")),
            variant.status,
        )
    out = console()
    out.print(shown)
    for variant in conversion.variants:
        for line in (*variant.notes, *filter(None, [variant.accuracy.get("reason")])):
            out.print(f"{variant.id}: {line}", highlight=False, markup=False)
    if conversion.sensitivity:
        _print_layers(conversion.sensitivity)
    out.print(f"{conversion.path}  {conversion.digest}", highlight=False, markup=False)


def _print_layers(layers: Sequence[Mapping[str, Any]]) -> None:
    shown = table("layer", "op", "alone in INT8", "parameters", title=f"The {_SHOWN_LAYERS} costliest layers")
    for layer in layers[:_SHOWN_LAYERS]:
        add_row(shown, layer["node"], layer["op"], f"{layer['sqnr_db']:.1f} dB", str(layer["parameters"]))
    console().print(shown)


def _worst(parity: dict[str, object]) -> str:
    worst = parity.get("worst")
    if not isinstance(worst, dict):
        return "not compared"
    return f"{worst['max_abs']:.2g} in {worst['name']} ({worst['sqnr_db']:.0f} dB)"
