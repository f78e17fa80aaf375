"""`edgesdk compare`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk.cli.output import JsonFlag, add_row, console, note, plain, print_json, progress_line, table
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgesdk.benchmark.contest import Bounds, Entry, Figure
    from edgesdk.evaluate.dataset import Dataset
    from edgesdk.evaluate.intervals import Metric
    from edgesdk_targets.bundle.bundle import Bundle
    from edgesdk_targets.bundle.manifest import Variant
    from edgesdk_targets.target import Runtime

_NONE_FITS, _NOTHING_RAN = 3, 4
# The figure by which a task's artifacts are compared; for another task the first that is measured.
_MAIN_METRIC = {"classify": "top1", "detect": "ap50", "text": "word_accuracy", "regress": "relative_error"}
_LOWER_IS_BETTER = ("error", "cer", "mae", "rmse", "mse")


def compare(
    artifacts: Annotated[
        list[str], typer.Argument(metavar="BUNDLE[:VARIANT]…", help="Bundles, whole or one variant of them.")
    ],
    data: Annotated[Path | None, typer.Option(help="Labelled data, as for `edgesdk evaluate`.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Only its variants; its limits apply.")] = None,
    max_ms: Annotated[float | None, typer.Option(min=0, help="Longest time of one inference, here.")] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Largest size of the files, such as `4MB`.")] = None,
    max_rss: Annotated[str | None, typer.Option(help="Most memory of the process, such as `200MB`.")] = None,
    max_drop: Annotated[float, typer.Option(min=0, help="How far below the best the metric may be.")] = 0.01,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one inference; 0 for all cores.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each artifact.")] = 7,
    slice_s: Annotated[float, typer.Option("--slice", min=0.01, help="Seconds of one turn.")] = 0.3,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with the plot.")] = None,
    json: JsonFlag = False,
) -> None:
    """Put artifacts side by side: size, accuracy, parity, speed, memory, limits; and say which one to take.

    All are loaded at once, each in a process of its own, and timed by turns, so that what else the machine does hits
    all alike.
    """
    from edgesdk.benchmark.contest import Bounds, front, pick
    from edgesdk.benchmark.host import cores, host_facts

    if not 0 <= max_drop < 1:
        raise InputError(f"The max-drop must lie between 0 and 1, not {max_drop:g}.", hint="0.01 is one point.")
    if report is not None:
        from edgesdk_targets.whole_file import check_writable

        check_writable(report, "--report")
    bounds = Bounds(max_ms, _bytes(max_bytes, "--max-bytes"), _bytes(max_rss, "--max-rss"))
    threads = threads or cores()
    host = host_facts()
    with ExitStack() as stack, progress_line("compare") as say:
        parts = _open(artifacts, target, stack)
        dataset = _dataset(data, parts)
        entries = _timed(parts, target, bounds, rounds, slice_s, threads, say)
        if dataset is not None:
            entries = [_evaluated(entry, parts[entry.name], dataset, threads, say) for entry in entries]
    choice = pick(entries, max_drop=max_drop)
    on_front = front(entries)
    if report is not None:
        from edgesdk.benchmark.contest_page import comparison_page

        comparison_page(entries, choice, host, threads).write(report)
    if json:
        shown = [{**entry.to_json(), "front": entry.name in on_front} for entry in entries]
        print_json({"entries": shown, "choice": choice.to_json(), "threads": threads, "host": host.to_json()})
    else:
        _print(entries, on_front)
        console().print(
            f"Take {plain(choice.name)}: {plain(choice.why)}." if choice.name else choice.why,
            highlight=False,
            markup=False,
        )
        for line in choice.passed_over:
            note(f"  not {plain(line)}")
        for line in host.warnings:
            note(f"warning: {line}")
        if report is not None:
            note(f"report: {report}")
    if choice.name is None:
        raise typer.Exit(_NONE_FITS if any(entry.ms is not None for entry in entries) else _NOTHING_RAN)


@dataclass(frozen=True, slots=True)
class _Part:
    """One artifact that was asked for; without a runtime it cannot run here."""

    bundle: Bundle
    variant: Variant
    runtime: Runtime | None
    why_not: str = ""


def _open(artifacts: Sequence[str], target: str | None, stack: ExitStack) -> dict[str, _Part]:
    """Open the bundles and name each variant that is meant."""
    from edgesdk.benchmark.runnable import runnable
    from edgesdk_targets.bundle.bundle import open_bundle

    parts: dict[str, _Part] = {}
    for text in dict.fromkeys(artifacts):
        path, variant_id = _split(text)
        bundle = stack.enter_context(open_bundle(path))
        found = runnable(bundle.manifest, target=target, variant_id=variant_id)
        for variant, runtime in found.variants:
            parts[f"{path}:{variant.id}"] = _Part(bundle, variant, runtime)
        for variant, reason in found.missing:
            parts[f"{path}:{variant.id}"] = _Part(bundle, variant, None, reason)
    return _short_names(parts)


def _split(text: str) -> tuple[Path, str | None]:
    """Read BUNDLE or BUNDLE:VARIANT; a bundle's own name may hold a colon."""
    if Path(text).exists() or ":" not in text:
        return Path(text), None
    path, _, variant = text.rpartition(":")
    return Path(path), variant


def _short_names(parts: dict[str, _Part]) -> dict[str, _Part]:
    """Leave out of the names what all share: the bundle where there is one, else the folders where they do not matter."""
    if len({part.bundle.path for part in parts.values()}) == 1:
        return {part.variant.id: part for part in parts.values()}
    by_file = {f"{part.bundle.path.name}:{part.variant.id}": part for part in parts.values()}
    return by_file if len(by_file) == len(parts) else parts


def _timed(
    parts: dict[str, _Part],
    target: str | None,
    bounds: Bounds,
    rounds: int,
    slice_s: float,
    threads: int,
    say: Callable[[str], None],
) -> list[Entry]:
    from edgesdk.benchmark.contest import Entry, judged, size_of, with_faster_floats, worst_parity_db
    from edgesdk.benchmark.host import host_facts
    from edgesdk.benchmark.interleave import interleaved
    from edgesdk.benchmark.measure import status_here
    from edgesdk.benchmark.subject import bundle_subject
    from edgesdk_targets.catalogue import find_target

    host = host_facts()
    subjects = [bundle_subject(p.bundle, p.variant, runtime=p.runtime, name=n) for n, p in parts.items() if p.runtime]
    race = interleaved(subjects, rounds=rounds, slice_s=slice_s, threads=threads, say=say)
    limits = find_target(target) if target else None
    entries = []
    for name, part in parts.items():
        timed = race.contenders.get(name)
        entry = Entry(
            name=name,
            model=part.bundle.manifest.name,
            variant=part.variant,
            size_bytes=size_of(part.bundle.manifest, part.variant),
            status=status_here(part.variant, part.runtime, host) if timed and part.runtime else "not run",
            worst_db=worst_parity_db(part.variant),
            ms=timed.ms if timed else None,
            rss_bytes=timed.rss_bytes if timed else None,
            failure=race.failed.get(name, part.why_not),
        )
        entries.append(judged(entry, limits, bounds))
    return with_faster_floats(entries, race.ratio)


def _dataset(data: Path | None, parts: dict[str, _Part]) -> Dataset | None:
    if data is None:
        return None
    from edgesdk.evaluate.dataset import open_dataset

    kinds = {(part.bundle.manifest.task, part.bundle.manifest.labels) for part in parts.values()}
    if len(kinds) > 1:
        raise InputError(
            "The bundles have different tasks or labels.", hint="Compare models of one task, or leave --data out."
        )
    task, labels = kinds.pop()
    return open_dataset(data, task=task, labels=labels)


def _evaluated(entry: Entry, part: _Part, dataset: Dataset, threads: int, say: Callable[[str], None]) -> Entry:
    """Measure the accuracy of what ran."""
    if entry.ms is None:
        return entry
    from edgesdk.evaluate.answers import each_alone
    from edgesdk.evaluate.evaluate import evaluate
    from edgesdk_targets.decode.postprocess import judged_with
    from edgesdk_targets.model import load_model
    from edgesdk_targets.session import SessionOptions

    say(f"accuracy of {entry.name}")
    scores = judged_with(dataset.task)
    options = SessionOptions(threads=threads)
    with load_model(part.bundle, variant=part.variant.id, options=options, postprocess=scores, probe=True) as model:
        card = evaluate(each_alone(model), dataset)
    name = _MAIN_METRIC.get(dataset.task, "")
    name = name if name in card.metrics else next(iter(card.metrics))
    return replace(entry, figure=_figure(name, card.metrics[name]))


def _figure(name: str, metric: Metric) -> Figure:
    from edgesdk.benchmark.contest import Figure

    lower = any(word in name for word in _LOWER_IS_BETTER)
    return Figure(name, metric.value, metric.low, metric.high, metric.n, higher_is_better=not lower)


def _print(entries: Sequence[Entry], on_front: Sequence[str]) -> None:
    from edgesdk.benchmark.contest_page import COLUMNS, cells

    shown = table(*COLUMNS)
    for entry in entries:
        add_row(shown, *cells(entry, entry.name in on_front))
    console().print(shown)


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
