from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.latency_histogram import LatencyHistogram, Percentiles
from edgesdk_agent.meter import Cause, Meters


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(2e-6, 5e3), min_size=1, max_size=300))
def test_percentiles_are_right_to_a_few_percent(values: list[float]) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    found = histogram.percentiles()
    for q, answer in ((50, found.p50), (95, found.p95), (99, found.p99)):
        exact = float(np.percentile(values, q, method="inverted_cdf"))
        assert answer == pytest.approx(exact, rel=0.011)


def test_values_outside_the_range_count_at_the_edge() -> None:
    histogram = LatencyHistogram()
    for value in (-1.0, 0.0, 1e-9):
        histogram.add(value)
    assert histogram.percentiles().p99 == pytest.approx(1e-6, rel=0.02)
    histogram = LatencyHistogram()
    histogram.add(1e9)
    found = histogram.percentiles().p50
    assert found is not None
    assert found > 9e3


def test_no_values_give_no_percentiles() -> None:
    assert LatencyHistogram().percentiles() == Percentiles(None, None, None)
    assert Percentiles().to_ms() == {"p50": None, "p95": None, "p99": None}


def test_a_merge_equals_counting_in_one() -> None:
    apart, together = (LatencyHistogram(), LatencyHistogram()), LatencyHistogram()
    for index in range(200):
        apart[index % 2].add(index * 1e-3)
        together.add(index * 1e-3)
    apart[0].merge(apart[1])
    assert apart[0].percentiles() == together.percentiles()
    assert len(apart[0]) == 200


def test_memory_does_not_grow_with_the_frames() -> None:
    meters = Meters(["a"])

    def size() -> int:
        tally = meters["a"]._tally
        return len(tally.age._counts) + len(tally.dropped)

    meters["a"].captured()
    meters["a"].processed(0.0, 0.01, 0.01, 0.01)
    meters["a"].captured()
    meters["a"].dropped("stopped")
    before = size()
    for index in range(5_000):
        meters["a"].captured()
        meters["a"].processed(0.0, index * 1e-4, 1e-3, 1e-3)
        meters["a"].captured()
        meters["a"].dropped("stopped")
    assert size() == before


def test_an_interval_begins_anew_and_the_totals_go_on() -> None:
    clock = Clock()
    meters = Meters(["a"], clock)
    meters.start()
    for _ in range(10):
        meters["a"].captured()
        clock.now += 0.1
        meters["a"].processed(clock.now, 0.020, 0.001, 0.005)
    meters["a"].captured()
    meters["a"].dropped("replaced_before_inference")
    first = meters.interval()
    assert (first.captured, first.processed) == (11, 10)
    assert first.fps == pytest.approx(10.0)
    assert first.dropped == {"replaced_before_inference": 1}
    assert first.age.p50 == pytest.approx(0.020, rel=0.011)

    clock.now += 5.0
    meters["a"].captured()
    second = meters.interval()
    assert (second.captured, second.processed, second.fps, second.dropped) == (1, 0, 0.0, {})
    assert second.age == Percentiles()
    assert second.in_flight == 1
    assert second.seconds == pytest.approx(5.0)

    total = meters.totals()
    assert (total.captured, total.processed, total.in_flight) == (12, 10, 1)
    assert total.captured == total.processed + sum(total.dropped.values()) + total.in_flight
    # The time after the last result is waiting, not slowness.
    assert total.fps == pytest.approx(10.0)


def test_time_is_counted_from_the_start() -> None:
    clock = Clock()
    meters = Meters(["a"], clock)
    clock.now += 50.0
    meters.start()
    clock.now += 4.0
    meters["a"].captured()
    meters["a"].processed(clock.now, 0.1, 0.1, 0.1)
    assert meters.totals().seconds == pytest.approx(4.0)
    assert meters.interval().seconds == pytest.approx(4.0)


def test_cameras_are_told_apart_and_together() -> None:
    clock = Clock()
    meters = Meters(["a", "b"], clock)
    for name, age_s, frames in (("a", 0.010, 3), ("b", 0.100, 1)):
        for _ in range(frames):
            meters[name].captured()
            clock.now += 1.0
            meters[name].processed(clock.now, age_s, 0.001, 0.001)
    meters["b"].captured()
    meters["b"].dropped("paused")
    for stats in (meters.totals(), meters.interval()):
        assert (stats.processed, stats.cameras["a"].processed, stats.cameras["b"].processed) == (4, 3, 1)
        assert stats.dropped == stats.cameras["b"].dropped == {"paused": 1}
        assert stats.cameras["a"].dropped == {}
        assert stats.cameras["a"].age.p95 == pytest.approx(0.010, rel=0.011)
        assert stats.cameras["b"].age.p50 == pytest.approx(0.100, rel=0.011)
        assert stats.age.p95 == pytest.approx(0.100, rel=0.011)
    document = meters.totals().to_json()
    assert list(document["cameras"]) == ["a", "b"]  # type: ignore[call-overload]


def test_json_has_the_keys_that_scripts_rely_on() -> None:
    meters = Meters(["a"])
    meters["a"].captured()
    meters["a"].processed(0.0, 0.0123, 0.001, 0.01)
    document = meters.totals().to_json()
    assert document["frames"] == {"captured": 1, "processed": 1, "dropped": {}, "in_flight": 0}
    assert document["age_ms"] == {name: pytest.approx(12.3, rel=0.011) for name in ("p50", "p95", "p99")}
    assert {"fps", "preprocess_ms", "infer_ms", "callback_errors", "seconds"} <= set(document)


def test_counts_from_several_threads_agree() -> None:
    meters = Meters(["a"])
    snapshots = []

    def work() -> None:
        for index in range(2_000):
            meters["a"].captured()
            if index % 3:
                meters["a"].processed(0.0, 1e-3, 1e-3, 1e-3)
            else:
                meters["a"].dropped("stopped")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        snapshots.append(meters.totals())
        meters.interval()
    for thread in threads:
        thread.join()
    total = meters.totals()
    assert (total.captured, total.in_flight) == (6_000, 0)
    for seen in [*snapshots, total]:
        assert seen.captured == seen.processed + sum(seen.dropped.values()) + seen.in_flight
    assert all(a.captured <= b.captured for a, b in pairwise(snapshots))


def test_every_cause_of_a_drop_is_explained(root: Path) -> None:
    page = (root / "docs/agent.md").read_text("utf-8")
    table = page.partition("| dropped as | because |")[2].partition("\n\n")[0]
    assert [cause for cause in get_args(Cause) if f"`{cause}`" not in table] == []
