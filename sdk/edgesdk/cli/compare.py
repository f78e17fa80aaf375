"""`edgesdk compare`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.compare_parts import Part, VariantPart, open_labelled, open_parts
from edgesdk.cli.output import JsonFlag, note, progress_line
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgesdk.benchmark.contest import Bounds, Entry
    from edgesdk.benchmark.contest_choice import Prefer
    from edgesdk.comparing import Figures
    from edgesdk.evaluate.dataset import Dataset

_NONE_FITS, _NOTHING_RAN = 3, 4
_PREFERENCES = ("speed", "metric", "size", "memory")


def compare(
    artifacts: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE[:VARIANT]|CARD…",
            help="Bundles, whole or one variant of them; models that are not converted.",
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Labelled data, as for `edgesdk evaluate`.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only its variants; its limits apply.")] = None,
    max_ms: Annotated[float | None, typer.Option(min=0, help="Longest time of one inference, here.")] = None,
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
    from edgesdk.benchmark.contest import front, judged
    from edgesdk.benchmark.contest_choice import pick
    from edgesdk.benchmark.host import cores, host_facts
    from edgesdk.cli.compare_output import print_choice, print_comparison
    from edgesdk_targets.catalogue import find_target

    bounds = _bounds(max_ms, max_bytes, max_rss, min_metric, max_metric)
    preference = _checked(max_drop, prefer, folds, bounds, with_data=data is not None)
    if report is not None:
        from edgesdk_targets.whole_file import check_writable

        check_writable(report, "--report")
    if train is not None:
        from edgesdk.cli.compare_folds import compare_trained

        limited = target is not None or bounds != _bounds(None, None, None, None, None)
        compare_trained(
            artifacts, data, folds, train, output=output, loss=loss, report=report, json=json, limited=limited
        )
        return
    if loss is not None or output is not None:
        raise InputError("--loss and --output are about --train, which is not given.", hint="Add --train PLAN.yaml.")
    threads = threads or cores()
    host = host_facts()
    limits = find_target(target) if target else None
    figures: Figures | None = None
    with ExitStack() as stack, progress_line("compare", every_s=1.0) as say:
        parts = open_parts(artifacts, target, stack)
        dataset = open_labelled(data, parts)
        entries = _timed(parts, rounds, slice_s, threads, say)
        if dataset is not None:
            figures = _measured(parts, entries, dataset, folds, threads, say)
            entries = [figures.of(entry) for entry in entries]
            _check_names(entries, bounds)
    entries = [judged(entry, limits, bounds) for entry in entries]
    choice = pick(entries, max_drop=max_drop, prefer=preference)
    if report is not None:
        from edgesdk.benchmark.contest_page import comparison_page

        tables = figures.tables() if figures else ()
        comparison_page(entries, choice, host, threads, tables).write(report)
    if json:
        print_comparison(entries, choice, figures, host, threads)
    else:
        print_choice(entries, front(entries), choice, figures)
        for line in host.warnings:
            note(f"warning: {line}")
        if report is not None:
            note(f"report: {report}")
    if choice.name is None:
        raise typer.Exit(_NONE_FITS if any(entry.ms is not None for entry in entries) else _NOTHING_RAN)


def _checked(max_drop: float, prefer: str, folds: int, bounds: Bounds, *, with_data: bool) -> Prefer:
    """Refuse options that do not go together, and return what is preferred."""
    if not 0 <= max_drop < 1:
        raise InputError(f"The max-drop must lie between 0 and 1, not {max_drop:g}.", hint="0.01 is one point.")
    if prefer not in _PREFERENCES:
        raise InputError(f"--prefer {prefer!r} is not known.", hint=f"One of: {', '.join(_PREFERENCES)}.")
    if folds == 1:
        raise InputError("1 fold divides nothing.", hint="5 are usual; leave --folds out for none.")
    asked = {
        "--folds": folds,
        "--min-metric": bounds.least,
        "--max-metric": bounds.most,
        "--prefer metric": prefer == "metric",
    }
    without = [option for option, given in asked.items() if given]
    if without and not with_data:
        raise InputError(
            f"{without[0]} needs figures, and no data are given.", hint="Add --data with labelled pictures."
        )
    return prefer  # type: ignore[return-value]  # one of the four, as was checked


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


def _check_names(entries: Sequence[Entry], bounds: Bounds) -> None:
    """Refuse a limit on a figure that this task does not have: nothing could ever keep it."""
    known = {name for entry in entries for name in entry.figures}
    for name in (*bounds.least, *bounds.most):
        if known and name not in known:
            raise InputError(f"There is no figure {name!r} here.", hint=f"One of: {', '.join(sorted(known))}.")


def _timed(
    parts: dict[str, Part], rounds: int, slice_s: float, threads: int, say: Callable[[str], None]
) -> list[Entry]:
    """Time what can run here by turns; what cannot is in the table too."""
    from edgesdk.benchmark.contest import Entry, with_faster_floats, worst_parity_db
    from edgesdk.benchmark.host import host_facts
    from edgesdk.benchmark.interleave import interleaved
    from edgesdk.benchmark.measure import status_here
    from edgesdk.benchmark.subject import bundle_subject

    host = host_facts()
    variants = {name: part for name, part in parts.items() if isinstance(part, VariantPart)}
    subjects = [
        bundle_subject(p.bundle, p.variant, runtime=p.runtime, name=n) for n, p in variants.items() if p.runtime
    ]
    race = interleaved(subjects, rounds=rounds, slice_s=slice_s, threads=threads, say=say)
    entries = []
    for name, part in parts.items():
        entry = Entry(name, part.model, None, part.size_bytes, "not converted", failure="it is not converted")
        if isinstance(part, VariantPart):
            timed = race.contenders.get(name)
            entry = replace(
                entry,
                variant=part.variant,
                status=status_here(part.variant, part.runtime, host) if timed and part.runtime else "not run",
                worst_db=worst_parity_db(part.variant),
                ms=timed.ms if timed else None,
                rss_bytes=timed.rss_bytes if timed else None,
                failure=race.failed.get(name, part.why_not),
            )
        entries.append(entry)
    return with_faster_floats(entries, race.ratio)


def _measured(
    parts: dict[str, Part],
    entries: Sequence[Entry],
    dataset: Dataset,
    folds: int,
    threads: int,
    say: Callable[[str], None],
) -> Figures:
    """Ask everything that runs about all pictures, and compare the answers."""
    from edgesdk.comparing import compared
    from edgesdk.evaluate.answers import collect, paths_of

    answers = {}
    for entry in entries:
        part = parts[entry.name]
        if entry.ms is None and isinstance(part, VariantPart):
            continue
        with part.answering(threads) as predict:
            answers[entry.name] = collect(
                predict,
                paths_of(dataset),
                lambda done, total, name=entry.name: say(f"{name}: {done} of {total}"),  # type: ignore[misc]
            )
    return compared(dataset, answers, folds=folds)
