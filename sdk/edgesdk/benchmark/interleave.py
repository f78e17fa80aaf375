"""Compare several subjects in one run: all are loaded, each in a child of its own, and take turns.

Only one runs at a time; the others wait for their turn on a pipe. In each round every one gets a slice, in an order that
turns, so that whatever else the machine does hits all alike; what is compared are the rounds, one against another.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.benchmark.live_child import ChildFailed, LiveChild
from edgesdk.benchmark.statistics import Ratio, ratio
from edgesdk.benchmark.subject import Subject, bundle_subject
from edgesdk_targets.bundle.bundle import Bundle, open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.variant_choice import choose_variants

ROUNDS, SLICE_S = 7, 0.3
_LOAD_S, _ANSWER_S = 120.0, 60.0
# At most so long before the first round, in slices.
_WARM_UP_SLICES = 7


@dataclass(frozen=True, slots=True)
class Contender:
    """What one subject took.

    Attributes:
        rounds_ms: its median in each round; of a cascade the mean, as its runs differ.
        rss_bytes: the most memory of its process.
    """

    name: str
    rounds_ms: tuple[float, ...]
    rss_bytes: int

    @property
    def ms(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds_ms)


@dataclass(frozen=True, slots=True)
class Race:
    """Several subjects, timed by turns.

    Attributes:
        contenders: by name, in the order given.
        failed: name → why it could not be timed.
    """

    contenders: Mapping[str, Contender]
    failed: Mapping[str, str]
    threads: int

    def ratio(self, name: str, to: str) -> Ratio:
        """Return how many times as long `name` takes as `to`.

        Raises:
            InputError: one of them was not timed.
        """
        for each in (name, to):
            if each not in self.contenders:
                raise InputError(f"{each} was not timed: {self.failed.get(each, 'it did not take part')}.")
        return ratio(self.contenders[name].rounds_ms, self.contenders[to].rounds_ms)

    @property
    def fastest(self) -> str | None:
        """The name of the one with the smallest median; None where nothing could be timed."""
        return min(self.contenders, key=lambda name: self.contenders[name].ms, default=None)

    def to_json(self) -> dict[str, Any]:
        timed = {
            name: {"ms": float(f"{one.ms:.4g}"), "rounds_ms": [float(f"{ms:.4g}") for ms in one.rounds_ms]}
            for name, one in self.contenders.items()
        }
        return {"threads": self.threads, "timed": timed, "failed": dict(self.failed)}


def interleaved(
    subjects: Sequence[Subject],
    *,
    rounds: int = ROUNDS,
    slice_s: float = SLICE_S,
    threads: int = 1,
    load_s: float = _LOAD_S,
    say: Callable[[str], None] | None = None,
) -> Race:
    """Time subjects by turns; what fails is left out and named, and the others go on.

    Args:
        rounds: at least 1.
        threads: of each inference; only one subject runs at a time.
        load_s: how long one may take to load.
        say: called with a line of text now and then.

    Raises:
        InputError: two subjects have the same name.
    """
    if len({subject.name for subject in subjects}) != len(subjects):
        raise InputError("Two of the things to compare have the same name.", hint="Name each differently.")
    tell = say or (lambda _line: None)
    failed: dict[str, str] = {}
    times: dict[str, list[float]] = {}
    memory: dict[str, int] = {}
    with ExitStack() as stack:
        children: dict[str, LiveChild] = {}
        usual = {subject.name: "mean" if subject.varies else "p50" for subject in subjects}
        for subject in subjects:
            tell(f"loading {subject.name}")
            child = stack.enter_context(LiveChild(subject))
            with _noted(failed, subject.name):
                child.ask("load", within_s=load_s, threads=threads, lanes=1)
                child.ask("warm_up", within_s=_WARM_UP_SLICES * slice_s + _ANSWER_S, seconds=_WARM_UP_SLICES * slice_s)
                children[subject.name] = child
        for turn in range(rounds):
            tell(f"round {turn + 1} of {rounds}")
            for name in _turned([name for name in children if name not in failed], turn):
                with _noted(failed, name):
                    taken = children[name].ask("slice", within_s=slice_s + _ANSWER_S, seconds=slice_s)
                    times.setdefault(name, []).append(taken["latency"][usual[name]])
                    memory[name] = taken["rss"]
    contenders = {name: Contender(name, tuple(times[name]), memory[name]) for name in children if name not in failed}
    return Race(contenders, failed, threads)


def faster_of(
    bundle: Bundle | str | Path,
    variant_ids: Iterable[str],
    *,
    rounds: int = ROUNDS,
    slice_s: float = SLICE_S,
    threads: int = 1,
) -> Race:
    """Time variants of one bundle by turns on this host; `Race.fastest` and `Race.ratio` tell them apart.

    Before a bundle exists, make the subjects with `files_subject` and call `interleaved`.

    Raises:
        WrongTarget: a variant is not in the bundle, or no runtime for it is installed.
    """
    if not isinstance(bundle, Bundle):
        with open_bundle(bundle) as opened:
            return faster_of(opened, variant_ids, rounds=rounds, slice_s=slice_s, threads=threads)
    subjects = []
    for name in variant_ids:
        candidate = choose_variants(bundle.manifest, variant_id=name).candidates[0]
        subjects.append(bundle_subject(bundle, candidate.variant, runtime=candidate.runtime))
    return interleaved(subjects, rounds=rounds, slice_s=slice_s, threads=threads)


def _turned(names: Sequence[str], turn: int) -> list[str]:
    """Begin each round with another one: who runs first after the others finds the machine differently."""
    if not names:
        return []
    place = turn % len(names)
    return [*names[place:], *names[:place]]


class _noted:  # noqa: N801  (reads as a statement)
    """Note a subject's failure under its name, and go on."""

    def __init__(self, failed: dict[str, str], name: str) -> None:
        self._failed = failed
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, ChildFailed):
            self._failed[self._name] = error.message
            return True
        return False
