"""Phase "time": all artifacts of a model and PyTorch eager take turns on a quiet machine.

All are loaded, each in a process of its own, and only one runs at a time. A turn during which others took more of the
machine than is allowed is repeated, as long as the model's budget of repeats lasts; what others took of the turns that
count is kept beside the times.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.benchmark.live_child import ChildFailed, LiveChild
from edgesdk.benchmark.subject import Subject, bundle_subject
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.variant_choice import choose_variants
from table.build import Say
from table.other_load import OtherLoad
from table.torch_lane import torch_subject

# In percent of one core.
MOST_OTHERS = 12.0
_LOAD_S, _ANSWER_S = 120.0, 60.0
# Loading is not timed, so that it may use two cores.
_LOADERS = 2


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: turns of each contender that count.
        turn_s: length of a turn, seconds.
        repeats: share of all turns that may be repeated because of others.
    """

    rounds: int
    turn_s: float
    repeats: float = 1.0


def subjects_of(card: Path, cells: Mapping[str, tuple[Path, str]]) -> list[Subject]:
    """Return what takes part: PyTorch eager, and each artifact under its name.

    Args:
        cells: name → bundle and the variant in it.
    """
    return [torch_subject(card), *(artifact_subject(name, *cell) for name, cell in cells.items())]


def artifact_subject(name: str, path: Path, variant: str) -> Subject:
    """Return one variant of a bundle, under a name."""
    with open_bundle(path) as bundle:
        candidate = choose_variants(bundle.manifest, variant_id=variant).candidates[0]
        return bundle_subject(bundle, candidate.variant, runtime=candidate.runtime, name=name)


def race(subjects: Sequence[Subject], effort: Effort, say: Say) -> dict[str, Any]:
    """Time subjects by turns, one thread each.

    Returns:
        `{"threads", "contenders": {name: {"rounds_ms", "rss_bytes"}}, "failed": {name: reason}, "others_pct": {"median",
        "worst"}, "repeated"}`.
    """
    with ExitStack() as stack:
        children = {subject.name: stack.enter_context(LiveChild(subject)) for subject in subjects}
        with ThreadPoolExecutor(_LOADERS) as pool:
            refused = pool.map(lambda child: _refused(child, effort), children.values())
            failed = {name: why for name, why in zip(children, refused, strict=True) if why}
        turns = _Turns({name: child for name, child in children.items() if name not in failed}, effort)
        for number in range(effort.rounds):
            say(f"round {number + 1} of {effort.rounds}")
            turns.round(number, failed)
        return turns.to_json(failed)


def _refused(child: LiveChild, effort: Effort) -> str | None:
    """Load and warm up; return why it cannot be timed, None where it can."""
    try:
        child.ask("load", within_s=_LOAD_S, threads=1, lanes=1)
        child.ask("warm_up", within_s=effort.turn_s * effort.rounds + _ANSWER_S, seconds=effort.turn_s * 3)
    except ChildFailed as error:
        return error.message
    return None


class _Turns:
    """The turns that count, and what else ran meanwhile."""

    def __init__(self, children: Mapping[str, LiveChild], effort: Effort) -> None:
        self._children = children
        self._effort = effort
        self._left = round(effort.repeats * effort.rounds * len(children))
        self._ms: dict[str, list[float]] = {name: [] for name in children}
        self._memory: dict[str, int] = {}
        self._others: list[float] = []
        self.repeated = 0

    def round(self, number: int, failed: dict[str, str]) -> None:
        """Let everybody run once, beginning each time with another one."""
        names = list(self._children)
        place = number % max(1, len(names))
        for name in [*names[place:], *names[:place]]:
            if name in failed:
                continue
            try:
                taken, others = self._quiet_turn(name)
            except ChildFailed as error:
                failed[name] = error.message
                continue
            self._ms[name].append(taken["latency"]["p50"])
            self._memory[name] = taken["rss"]
            self._others.append(others)

    def _quiet_turn(self, name: str) -> tuple[dict[str, Any], float]:
        """Run one turn, again while others disturb it and repeats are left; return the least disturbed."""
        turns: list[tuple[dict[str, Any], float]] = []
        while True:
            watch = OtherLoad(child.pid for child in self._children.values())
            seconds = self._effort.turn_s
            taken = self._children[name].ask("slice", within_s=seconds + _ANSWER_S, seconds=seconds)
            turns.append((taken, watch.percent()))
            if turns[-1][1] <= MOST_OTHERS or self._left == 0:
                return min(turns, key=lambda turn: turn[1])
            self._left -= 1
            self.repeated += 1

    def to_json(self, failed: Mapping[str, str]) -> dict[str, Any]:
        contenders = {
            name: {"rounds_ms": [float(f"{ms:.4g}") for ms in times], "rss_bytes": self._memory[name]}
            for name, times in self._ms.items()
            if times and name not in failed
        }
        others = self._others or [0.0]
        return {
            "threads": 1,
            "contenders": contenders,
            "failed": dict(failed),
            "others_pct": {"median": round(statistics.median(others), 1), "worst": round(max(others), 1)},
            "repeated": self.repeated,
        }
