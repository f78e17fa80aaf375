"""Compare models: ask all about the same pictures, time all by turns, apply the limits, and choose one with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from edgesdk.benchmark.contest import Bounds, Entry, front, judged, with_faster_floats, worst_parity_db
from edgesdk.benchmark.contest_choice import PREFERENCES, Pick, Prefer, pick
from edgesdk.benchmark.contest_page import comparison_page
from edgesdk.benchmark.host import HostFacts, cores, host_facts
from edgesdk.benchmark.interleave import Race, interleaved
from edgesdk.benchmark.measure import status_here
from edgesdk.comparison.device_times import DeviceTimes, device_times
from edgesdk.comparison.figures import Figures, compared
from edgesdk.comparison.parts import Part, VariantPart, first_picture, open_labelled, open_parts
from edgesdk.evaluate.answers import Answers, collect, paths_of
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.figure_names import FIGURE_NAMES, check_figures
from edgesdk.report.page import Page
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import InputError, SessionFailed

Say = Callable[[str], None]
_NO_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models side by side.

    Attributes:
        entries: each model or variant with what it costs and gives, in the order in which they were given.
        choice: which one to take, and why.
        figures: how they compare on the labelled pictures; None where none were given.
        host: where they were timed.
        threads: of one inference.
        devices: lines that say what was timed on a device, and how.
    """

    entries: tuple[Entry, ...]
    choice: Pick
    figures: Figures | None
    host: HostFacts
    threads: int
    devices: tuple[str, ...] = ()

    @property
    def front(self) -> list[str]:
        """The names of those that no other beats in time, size and accuracy at once."""
        return front(self.entries)

    def page(self) -> Page:
        """Return the report."""
        tables = self.figures.tables() if self.figures else ()
        return comparison_page(self.entries, self.choice, self.host, self.threads, tables, self.devices)

    def to_json(self) -> dict[str, object]:
        """Return all of it as JSON values."""
        on_front = self.front
        return {
            "entries": [{**entry.to_json(), "front": entry.name in on_front} for entry in self.entries],
            "choice": self.choice.to_json(),
            **(self.figures.to_json() if self.figures else {}),
            "threads": self.threads,
            "devices": list(self.devices),
            "host": self.host.to_json(),
        }


def compare(
    artifacts: Sequence[str | Path],
    *,
    data: str | Path | None = None,
    measured: Sequence[str | Path] = (),
    target: str | None = None,
    bounds: Bounds = _NO_BOUNDS,
    max_drop: float = 0.01,
    prefer: Prefer = "speed",
    folds: int = 0,
    threads: int = 0,
    rounds: int = 7,
    slice_s: float = 0.3,
    progress: Say | None = None,
) -> Comparison:
    """Put models side by side.

    All are loaded at once, each in a process of its own, and timed by turns, so that what else the machine does hits all alike.

    Args:
        artifacts: bundles, `BUNDLE:VARIANT` for one variant of it, or models that are not converted (a card, an .onnx, a .pt2).
        data: labelled pictures, in any layout that `edgesdk evaluate` reads; without them nothing is known of accuracy.
        measured: files that `edgesdk benchmark --json` wrote on the device: times and memory there take the place of this host's,
            and only what was timed there is chosen from.
        target: only its variants; its limits apply.
        bounds: limits of one's own.
        max_drop: how far below the best the main figure may be, as a fraction.
        prefer: what decides among those that fit.
        folds: divide the data into so many, and give each figure's mean and spread; 0 for none.
        threads: of one inference; 0 for all cores.
        rounds: turns of each.
        slice_s: seconds of one turn.

    Raises:
        InputError: arguments do not go together, something is no model, the models have different tasks or labels, the data do
            not fit them, or what was measured is of another bundle.
        BundleError: a bundle is damaged, or has nothing for the target.
        MissingExtra: what runs a model is not installed.
        SessionFailed: nothing that has a time can be asked about the pictures here.
    """
    _check(max_drop, prefer, folds, bounds, with_data=data is not None)
    say = progress or _silent
    threads = threads or cores()
    limits = find_target(target) if target else None
    figures: Figures | None = None
    with ExitStack() as stack:
        parts = open_parts([str(one) for one in artifacts], target, stack)
        elsewhere = device_times([Path(file) for file in measured], parts)
        dataset = open_labelled(Path(data) if data is not None else None, parts)
        if dataset is not None:
            asked = {"--min-metric": bounds.least, "--max-metric": bounds.most}
            check_figures(asked, FIGURE_NAMES[dataset.task])
        host = host_facts()
        shown = first_picture(dataset) if dataset is not None else None
        entries = _timed(parts, elsewhere, rounds, slice_s, threads, host, shown, say)
        if dataset is not None:
            figures, unasked = _measured(parts, entries, dataset, folds, threads, say)
            if figures is None and elsewhere.times:
                raise _none_asked(entries, unasked)
            entries = [replace(entry, failure=unasked.get(entry.name, entry.failure)) for entry in entries]
        if figures is not None:
            entries = [figures.of(entry) for entry in entries]
    entries = [judged(entry, limits, bounds) for entry in entries]
    choice = pick(entries, max_drop=max_drop, prefer=prefer)
    return Comparison(tuple(entries), choice, figures, host, threads, elsewhere.about)


def _check(max_drop: float, prefer: Prefer, folds: int, bounds: Bounds, *, with_data: bool) -> None:
    """Refuse what does not go together."""
    if not 0 <= max_drop < 1:
        raise InputError(f"The max-drop must lie between 0 and 1, not {max_drop:g}.", hint="0.01 is one point.")
    if prefer not in PREFERENCES:
        raise InputError(f"The preference {prefer!r} is not known.", hint=f"One of: {', '.join(PREFERENCES)}.")
    if folds == 1:
        raise InputError("1 fold divides nothing.", hint="5 are usual; 0 folds are none.")
    asked = {
        "Folds need": folds,
        "A limit on a figure needs": bounds.least or bounds.most,
        "To prefer the metric needs": prefer == "metric",
    }
    without = [what for what, given in asked.items() if given]
    if without and not with_data:
        raise InputError(
            f"{without[0]} figures, and there are no data.", hint="Give labelled pictures: `data`, or --data."
        )


def _timed(
    parts: dict[str, Part],
    elsewhere: DeviceTimes,
    rounds: int,
    slice_s: float,
    threads: int,
    host: HostFacts,
    shown: Path | None,
    say: Say,
) -> list[Entry]:
    """Time by turns what can run here and was not timed on its device; what cannot is in the table too."""
    variants = {name: part for name, part in parts.items() if isinstance(part, VariantPart)}
    subjects = [p.subject(n, shown) for n, p in variants.items() if p.runtime and n not in elsewhere.times]
    race = interleaved(subjects, rounds=rounds, slice_s=slice_s, threads=threads, say=say)
    entries = []
    for name, part in parts.items():
        entry = Entry(name, part.model, None, part.size_bytes, "not converted", failure="it is not converted")
        if isinstance(part, VariantPart):
            entry = replace(entry, variant=part.variant, worst_db=worst_parity_db(part.variant))
            there = elsewhere.times.get(name)
            if there is not None:
                entry = replace(entry, status="measured", ms=there.ms, rss_bytes=there.rss_bytes, device=there.device)
                entry = replace(entry, failure=part.why_not)
            else:
                entry = _timed_here(entry, part, race, host)
        entries.append(entry)
    return with_faster_floats(
        entries, lambda one, to: elsewhere.ratio(one, to) if one in elsewhere.times else race.ratio(one, to)
    )


def _timed_here(entry: Entry, part: VariantPart, race: Race, host: HostFacts) -> Entry:
    timed = race.contenders.get(entry.name)
    return replace(
        entry,
        status=status_here(part.variant, part.runtime, host) if timed and part.runtime else "not run",
        ms=timed.ms if timed else None,
        rss_bytes=timed.rss_bytes if timed else None,
        failure=race.failed.get(entry.name, part.why_not),
    )


def _measured(
    parts: dict[str, Part], entries: Sequence[Entry], dataset: Dataset, folds: int, threads: int, say: Say
) -> tuple[Figures | None, dict[str, str]]:
    """Ask everything that runs about all pictures, and compare the answers.

    Returns:
        The figures, None where nothing runs; and why what was timed on a device could not be asked here, by its name.
    """
    answers: dict[str, Answers] = {}
    unasked: dict[str, str] = {}
    for entry in entries:
        part = parts[entry.name]
        if isinstance(part, VariantPart) and (entry.ms is None or part.runtime is None):
            continue
        try:
            with part.answering(threads) as predict:
                answers[entry.name] = collect(
                    predict,
                    paths_of(dataset),
                    lambda done, total, name=entry.name: say(f"{name}: {done} of {total}"),  # type: ignore[misc]
                )
        except SessionFailed as error:
            # What was timed here runs here.
            if not entry.device:
                raise
            unasked[entry.name] = error.message
    return compared(dataset, answers, folds=folds) if answers else None, unasked


def _none_asked(entries: Sequence[Entry], unasked: dict[str, str]) -> SessionFailed:
    """Return the refusal to choose by a device's speed alone where figures were to have a say."""
    why = "".join(f"\n{entry.name}: {unasked.get(entry.name, entry.failure)}" for entry in entries)
    hint = "Run it where one does, or leave --data out and choose by time and size alone."
    return SessionFailed(f"None of these runs here, so none can be asked about the pictures.{why}", hint=hint)


def _silent(_line: str) -> None:
    pass
