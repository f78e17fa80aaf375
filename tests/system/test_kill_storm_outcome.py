"""How a storm's record is judged, on records that are made by hand: losses and doubles are told apart."""

from __future__ import annotations

import json
from pathlib import Path

from edgesdk.fleet.store.batch import DeclaredGap, Kind, Reading, Record, Stream
from edgesdk.fleet.store.ingest import Ingest
from edgesdk_testkit.kill_storm_outcome import StormOutcome, StormPlan, count_rows, has_caught_up

STREAM = Stream("local.gate", "e1")
# Two lives of an agent: number, frame, and when it was captured.
LIVES = [(seq, seq - 1, 1_000 + seq) for seq in range(1, 21)] + [(seq, seq - 21, 9_000 + seq) for seq in range(21, 61)]


def test_everything_stored_is_nothing_lost(tmp_path: Path) -> None:
    found = outcome(tmp_path, LIVES)
    assert (found.rows, found.lives, found.lost, found.duplicate_rows) == (60, 2, 0, 0)


def test_the_first_frames_of_a_life_that_are_missing_are_lost_and_nothing_is_twice(tmp_path: Path) -> None:
    # As it is for some seconds when an agent was there before its collector: the broker had nobody to pass them on to.
    found = outcome(tmp_path, [report for report in LIVES if not 21 <= report[0] <= 32])
    assert (found.lives, found.missing_frames, found.missing_numbers) == (2, 12, 12)
    assert (found.lost, found.duplicate_rows) == (12, 0)


def test_a_frame_under_two_numbers_is_a_double(tmp_path: Path) -> None:
    last = LIVES[-1]
    found = outcome(tmp_path, [*LIVES, (61, *last[1:]), (62, last[1] + 1, last[2] + 2)])
    assert (found.lost, found.duplicate_rows) == (0, 1)


def test_a_frame_that_got_no_number_is_lost(tmp_path: Path) -> None:
    found = outcome(tmp_path, [(1, 0, 1_000), (2, 2, 1_002)])
    assert (found.missing_numbers, found.lost) == (0, 1)


def test_what_the_device_declares_as_dropped_is_lost(tmp_path: Path) -> None:
    gap = DeclaredGap(STREAM, (5, 6), 60, 0, "budget", {"result": 2})
    found = outcome(tmp_path, [report for report in LIVES if report[0] not in (5, 6)], gap)
    assert (found.missing_numbers, found.lost_numbers, found.lost) == (0, 2, 2)


def test_a_record_has_caught_up_when_the_agents_present_life_is_in_it_and_no_number_is_missing(tmp_path: Path) -> None:
    db = tmp_path / "fleet.db"
    write(db, LIVES[:20])
    # Nothing is missing, but of the second life, which began at 9000, nobody knows yet what it holds.
    assert not has_caught_up(db, 9_000, complete=True)
    write(db, LIVES[30:])
    assert has_caught_up(db, 9_000, complete=False)
    assert not has_caught_up(db, 9_000, complete=True)
    write(db, LIVES[20:30])
    assert has_caught_up(db, 9_000, complete=True)


def outcome(folder: Path, reports: list[tuple[int, int, int]], *gaps: DeclaredGap) -> StormOutcome:
    write(folder / "fleet.db", reports, *gaps)
    return count_rows(folder / "fleet.db", StormOutcome(StormPlan("none", seed=0)))


def write(db: Path, reports: list[tuple[int, int, int]], *gaps: DeclaredGap) -> None:
    store = Ingest(db)
    try:
        store.commit(
            Reading(
                [
                    Record(STREAM, seq, Kind.RESULT, at_ms, json.dumps({"frame": frame, "captured_at": f"{at_ms}"}))
                    for seq, frame, at_ms in reports
                ],
                list(gaps),
            )
        )
    finally:
        store.close()
