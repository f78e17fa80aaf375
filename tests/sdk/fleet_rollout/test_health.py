"""What counts as worse, figure by figure: at its limit it is well, beyond it the reason is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgesdk.fleet.rollout.health import Compared, Figures, why_worse
from edgesdk.fleet.rollout.policy import HealthLimits

BEFORE = Figures(
    samples=20, fps=20, age_p95_ms=100, latency_ms=40, memory_mb=200, temperature_c=50, results=100,
    seen={"person": 80, "": 20},
)  # fmt: skip
LIMITS = HealthLimits()
# What is still well, what is not, and how that is said.
CASES: list[tuple[str, Any, Any, str]] = [
    ("fps", 16.0, 15.9, "frames a second 20 → 15.9"),
    ("fps", 20.0, None, "frames a second 20 → 0"),
    ("age_p95_ms", 150.0, 151.0, "age of results 100 → 151 ms"),
    ("latency_ms", 60.0, 61.0, "latency 40 → 61 ms"),
    ("memory_mb", 300.0, 301.0, "memory 200 → 301 MB"),
    ("temperature_c", 58.0, 58.1, "temperature 50 → 58.1 °C"),
    ("restarts", 1, 2, "2 restarts"),
    ("seen", {"person": 40, "": 60}, {"person": 39, "": 61}, "other results"),
]
IDS = ["fps", "no-fps", "age", "latency", "memory", "temperature", "restarts", "results"]


@pytest.mark.parametrize(("figure", "well", "worse", "words"), CASES, ids=IDS)
def test_each_figure_has_its_limit(figure: str, well: Any, worse: Any, words: str) -> None:
    assert why_worse(Compared(BEFORE, replace(BEFORE, **{figure: well})), [], LIMITS) == ""
    assert why_worse(Compared(BEFORE, replace(BEFORE, **{figure: worse})), [], LIMITS).startswith(words)


@pytest.mark.parametrize(("figure", "well", "worse", "words"), CASES, ids=IDS)
def test_a_limit_of_nought_looks_at_nothing(figure: str, well: Any, worse: Any, words: str) -> None:
    nothing = HealthLimits(fps=0, age_p95=0, latency=0, memory=0, temperature_c=0, restarts=0, results=0)
    assert why_worse(Compared(BEFORE, replace(BEFORE, **{figure: worse})), [], nothing) == ""


@pytest.mark.parametrize(
    ("figure", "worse"),
    [("fps", 10.0), ("age_p95_ms", 250.0), ("latency_ms", 90.0), ("memory_mb", 420.0), ("temperature_c", 60.0),
     ("seen", {"person": 20, "": 80})],
    ids=["fps", "age", "latency", "memory", "temperature", "results"],
)  # fmt: skip
def test_what_changed_for_everybody_is_taken_off_and_two_others_are_not_everybody(figure: str, worse: Any) -> None:
    one = Compared(BEFORE, replace(BEFORE, **{figure: worse}))
    assert why_worse(one, [one] * 3, LIMITS) == ""
    assert why_worse(one, [one] * 2, LIMITS) != ""


def test_what_is_too_little_to_matter_is_well_whatever_the_ratio() -> None:
    before = replace(BEFORE, age_p95_ms=5, latency_ms=1, memory_mb=10)
    assert why_worse(Compared(before, replace(before, age_p95_ms=25, latency_ms=6, memory_mb=60)), [], LIMITS) == ""
    worse = replace(before, age_p95_ms=26, latency_ms=7, memory_mb=61)
    assert why_worse(Compared(before, worse), [], LIMITS).count(";") == 2
