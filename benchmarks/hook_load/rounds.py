"""Measurements that take turns: each round measures every case once, against the case without a rival in that round."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: a rival, where it runs, and Python's switch interval."""

    rival: str
    isolation: str
    switch_interval_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What one case left of the rate.

    Attributes:
        per_s: frames a second, median over the rounds.
        share: of the rate without a rival in the same round, median.
        worst, best: of the rounds.
    """

    case: Case
    per_s: float
    share: float
    worst: float
    best: float

    def to_json(self) -> dict[str, object]:
        case = self.case
        return {
            "rival": case.rival,
            "isolation": case.isolation,
            "switch_interval_ms": case.switch_interval_s * 1e3,
            "per_s": round(self.per_s, 1),
            "share": round(self.share, 3),
            "worst": round(self.worst, 3),
            "best": round(self.best, 3),
        }


def measure(cases: Sequence[Case], reference: Case, *, rounds: int, seconds: float) -> list[Kept]:
    """Measure all cases by turns."""
    measured = []
    for number in range(rounds):
        measured.append(one_round(cases, reference, number, seconds))
        print(
            f"round {number + 1} of {rounds}: {measured[-1][reference]:.0f} a second without a rival", file=sys.stderr
        )
    return [kept(case, reference, measured) for case in cases]


def one_round(cases: Sequence[Case], reference: Case, number: int, seconds: float) -> dict[Case, float]:
    """Return the rate of each case, measured in an order that turns with the round's number."""
    rates = {reference: _rate(reference, seconds)}
    turn = number % len(cases)
    for case in (*cases[turn:], *cases[:turn]):
        if case != reference:
            rates[case] = _rate(case, seconds)
    return rates


def kept(case: Case, reference: Case, rounds: Sequence[Mapping[Case, float]]) -> Kept:
    """Return what a case left of the rate, over the rounds."""
    shares = [rates[case] / rates[reference] for rates in rounds]
    per_s = statistics.median(rates[case] for rates in rounds)
    return Kept(case, per_s, statistics.median(shares), min(shares), max(shares))


def _rate(case: Case, seconds: float) -> float:
    path = os.pathsep.join((str(_FOLDER), *filter(None, sys.path)))
    arguments = [case.rival, case.isolation, str(case.switch_interval_s), str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "hook_load.slice", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60 + seconds,
    )
    return float(done.stdout)
