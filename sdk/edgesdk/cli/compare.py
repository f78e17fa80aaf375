"""`edgesdk compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, note, print_json, progress_line
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesdk.benchmark.contest import Bounds

_NONE_FITS, _NOTHING_RAN = 3, 4


def compare(
    artifacts: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE[:VARIANT]|CARD…",
            help="Bundles, whole or one variant of them; models that are not converted.",
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Labelled data, as for `edgesdk evaluate`.")] = None,
    measured: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Times of the device: what `edgesdk benchmark --json` wrote there."),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only its variants; its limits apply.")] = None,
    max_ms: Annotated[
        float | None, typer.Option(min=0, help="Longest time of one inference, here or as --measured says.")
    ] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Largest size of the files, such as `4MB`.")] = None,
    max_rss: Annotated[str | None, typer.Option(help="Most memory of the process, such as `200MB`.")] = None,
    min_metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What a figure has to reach, such as `f1_macro=0.9`.")
    ] = None,
    max_metric: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What an error may be at most, such as `cer=0.05`.")
    ] = None,
    max_drop: Annotated[float, typer.Option(min=0, help="How far below the best the metric may be.")] = 0.01,
    prefer: Annotated[str, typer.Option(help="Of those that fit: speed, metric, size or memory.")] = "speed",
    folds: Annotated[
        int, typer.Option(min=0, help="Divide the data into so many folds; give the figures' mean and spread.")
    ] = 0,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.yaml", help="Train each card's model anew for each fold, on the others; with --folds."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Of --train: a loss beside the cards; a detector needs one."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Of --train: folder for the trainings; it goes on from there.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one inference; 0 for all cores.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each artifact.")] = 7,
    slice_s: Annotated[float, typer.Option("--slice", min=0.01, help="Seconds of one turn.")] = 0.3,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with the plot.")] = None,
    json: JsonFlag = False,
) -> None:
    """Put models side by side: all figures, size, parity, speed, memory, limits; and say which one to take.

    All are loaded at once, each in a process of its own, and timed by turns, so that what else the machine does hits
    all alike.
    """
    from edgesdk.cli.compare_output import print_choice
    from edgesdk.comparison.compare import compare as run

    bounds = _bounds(max_ms, max_bytes, max_rss, min_metric, max_metric)
    if report is not None:
        from edgesdk_targets.whole_file import check_writable

        check_writable(report, "--report")
    if train is not None:
        from edgesdk.cli.compare_folds import compare_trained

        limited = target is not None or bool(measured) or bounds != _bounds(None, None, None, None, None)
        compare_trained(
            artifacts, data, folds, train, output=output, loss=loss, report=report, json=json, limited=limited
        )
        return
    if loss is not None or output is not None:
        raise InputError("--loss and --output are about --train, which is not given.", hint="Add --train PLAN.yaml.")
    with progress_line("compare", every_s=1.0) as say:
        found = run(
            artifacts,
            data=data,
            measured=measured or (),
            target=target,
            bounds=bounds,
            max_drop=max_drop,
            prefer=prefer,  # type: ignore[arg-type]  # checked there
            folds=folds,
            threads=threads,
            rounds=rounds,
            slice_s=slice_s,
            progress=say,
        )
    if report is not None:
        found.page().write(report)
    if json:
        print_json(found.to_json())
    else:
        print_choice(found)
        if report is not None:
            note(f"report: {report}")
    if found.choice.name is None:
        raise typer.Exit(_NONE_FITS if any(entry.ms is not None for entry in found.entries) else _NOTHING_RAN)


def _bounds(
    max_ms: float | None,
    max_bytes: str | None,
    max_rss: str | None,
    min_metric: Sequence[str] | None,
    max_metric: Sequence[str] | None,
) -> Bounds:
    from edgesdk.benchmark.contest import Bounds

    return Bounds(
        max_ms,
        _bytes(max_bytes, "--max-bytes"),
        _bytes(max_rss, "--max-rss"),
        _named(min_metric or (), "--min-metric"),
        _named(max_metric or (), "--max-metric"),
    )


def _named(texts: Sequence[str], option: str) -> dict[str, float]:
    named = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            named[name.strip()] = float(value)
        except ValueError:
            raise InputError(
                f"{option} {text!r} is no limit.", hint="Write NAME=VALUE, such as f1_macro=0.9."
            ) from None
    return named


def _bytes(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise InputError(
            f"{option} {text!r} is no size.", hint="Give a number of bytes, or one such as `4MB`."
        ) from error
