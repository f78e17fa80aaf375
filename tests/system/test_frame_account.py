"""How frames are accounted for, on records made by hand: a lost result, one without a cause and one that came twice are seen."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.store.ingest import Ingest
from edgesdk_testkit.frame_account import FrameAccount, account_of, capture_gaps, frame_count

NODE = "local.d0"
STREAM = Stream(NODE, "e1")


def summary(captured: int, **dropped: int) -> dict[str, Any]:
    return {"frames": {"captured": captured, "dropped": dropped}}


def account(folder: Path, frames: list[int], *summaries: dict[str, Any]) -> FrameAccount:
    """Return the account of a device of which the store holds results of these frames."""
    store = Ingest(folder / "fleet.db")
    records = []
    for seq, frame in enumerate(frames, start=1):
        body = {"frame": frame, "captured_at": f"at {seq}", "bundle": {"version": f"1.0.{1 + (seq > 5)}"}}
        records.append(Record(STREAM, seq, Kind.RESULT, 1_000 + seq, json.dumps(body)))
    # Another device's are not counted with it.
    records.append(Record(Stream("local.d1", "e1"), 1, Kind.RESULT, 1_000, records[0].body))
    store.commit(Reading(records, []))
    store.close()
    return account_of(folder / "fleet.db", NODE, summaries)


def test_every_frame_of_two_lives_is_there_or_has_a_cause(tmp_path: Path) -> None:
    found = account(tmp_path, [0, 1, 2, 3, 4, 5, 7, 0, 1], summary(9, stopped=1, failed=1), summary(2))
    assert (found.captured, found.results, found.unaccounted, found.found.lives) == (11, 9, 0, 2)
    assert (found.dropped, found.versions) == ({"stopped": 1, "failed": 1}, {"1.0.1": 5, "1.0.2": 4})
    assert found.is_complete


@pytest.mark.parametrize(
    ("frames", "captured"),
    [([0, 1, 3, 4], 5), ([1, 2, 3], 4), ([0, 1, 2], 4), ([0, 1, 2, 3], 3)],
    ids=["in-between", "the-first", "the-last", "one-that-nobody-captured"],
)
def test_a_frame_without_a_result_or_a_cause_is_seen(tmp_path: Path, frames: list[int], captured: int) -> None:
    found = account(tmp_path, frames, summary(captured))
    assert found.unaccounted
    assert not found.is_complete


def test_what_came_twice_makes_up_for_nothing() -> None:
    found = frame_count([(0, "a"), (1, "b"), (1, "b"), (3, "d")])
    assert (found.rows, found.twice, found.lives, found.missing) == (4, 1, 1, 1)
    assert FrameAccount(captured=4, found=found).unaccounted == 1


def captured(second: float, version: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(1_800_000_000 + second, timezone.utc)
    return {"captured_at": at.isoformat(), "bundle": {"version": version}}


def test_a_pause_at_a_swap_is_seen_though_no_number_is_missing() -> None:
    """One change between two frames, one by a restart that took 3 s, and a pause that has nothing to do with either."""
    first = [captured(number / 10, "1.0.1") for number in range(100)]
    second = [captured(10 + number / 10, "1.0.2") for number in range(100)]
    third = [captured(23 + number / 10, "1.0.3") for number in range(100)]
    later = [captured(40, "1.0.3")]
    found = capture_gaps([*reversed(first), *later, *third, *second])
    # Seconds since 1970 have no more than six digits behind the point.
    assert found.usual == pytest.approx(0.1, abs=1e-5)
    assert found.at_swaps == pytest.approx((0.1, 3.1), abs=1e-5)
    assert found.longest == pytest.approx(7.1, abs=1e-5)
