"""The share of a shadow run: nothing before the usual is known, less as soon as something presses, and small again afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.shadow.pace import Pace, PaceMarks


class Day:
    """A device whose state is looked at every five seconds."""

    def __init__(self, **marks: Any) -> None:
        self.pace = Pace(0.04, PaceMarks(**marks), Backoff(first_s=20.0, limit_s=80.0, chance=lambda: 1.0))
        self._at = 0.0

    def look(self, age_ms: float | None = 50.0, **state: Any) -> float:
        self._at += 5.0
        usual: dict[str, Any] = {"system_cpu_percent": 40.0, "temperature_c": 50.0}
        return self.pace.look(Facts(at=self._at, uptime_s=self._at, age_p95_ms=age_ms, **{**usual, **state}))

    def begun(self) -> Day:
        for _ in range(6):
            self.look()
        assert self.pace.share == 0.04
        return self


def test_it_begins_small_once_the_usual_age_is_known() -> None:
    day = Day()
    assert [day.look() for _ in range(7)] == [0.0, 0.0, 0.005, 0.01, 0.02, 0.04, 0.04]


def test_without_results_it_never_begins() -> None:
    day = Day()
    assert {day.look(None) for _ in range(20)} == {0.0}


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"age_ms": 66.0}, "results get older"),
        ({"system_cpu_percent": 97.0}, "the processor is busy"),
        ({"temperature_c": 85.0}, "temperature"),
        ({"throttled": ("throttled by heat",)}, "the device slows itself down"),
        ({"memory_available_bytes": 5, "memory_total_bytes": 100}, "memory"),
    ],
    ids=["age", "processor", "heat", "throttled", "memory"],
)
def test_whatever_presses_stops_it_at_once_and_it_rests(state: dict[str, Any], why: str) -> None:
    day = Day().begun()
    assert day.look(**state) == 0.0
    assert dict(day.pace.paused) == {why: 1}
    # 20 s, then 40 s.
    assert [day.look() for _ in range(4)] == [0.0, 0.0, 0.0, 0.005]
    assert day.look(**state) == 0.0
    assert [day.look() for _ in range(8)].index(0.005) == 7


def test_a_little_older_is_nothing() -> None:
    day = Day().begun()
    assert day.look(60.0) == 0.04
    tiny = Day()
    for _ in range(6):
        tiny.look(0.5)
    assert tiny.look(2.0) > 0


def test_now_and_then_it_is_quiet_and_learns_what_is_usual_now() -> None:
    day = Day().begun()
    shares = [day.look() for _ in range(40)]
    assert 2 <= shares.count(0.0) <= 4
    # More objects come, and results are older by themselves: at first it stops, and then that is the usual.
    assert day.look(100.0) == 0.0
    assert max([day.look(100.0) for _ in range(100)][-12:]) > 0


def test_a_busy_processor_may_be_left_out() -> None:
    day = Day(busy_percent=101.0)
    assert [day.look(system_cpu_percent=100.0) for _ in range(3)][-1] > 0
