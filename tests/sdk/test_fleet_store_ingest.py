"""The record's file: what is committed stays, once, whatever comes twice or dies."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgesdk.fleet.store import quarantine
from edgesdk.fleet.store.batch import DeclaredGap, Kind, Presence, Reading, Record, Refusal, Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.failures import StoreFailed
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.records import Asked, Records
from edgesdk_targets.errors import InputError
from edgesdk_testkit.reports import NOW_MS, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

CAM = Stream("local.cam1", "e1")


@pytest.fixture
def store(store_url: str) -> Iterator[Ingest]:
    opened = Ingest(store_url, wall=lambda: 1_000_000.0)
    yield opened
    opened.close()


def _records(*seqs: int, stream: Stream = CAM, kind: Kind = Kind.RESULT) -> list[Record]:
    return [Record(stream, seq, kind, seq * 1000, f'{{"seq":{seq}}}') for seq in seqs]


def _gap(first: int, last: int, seq: int, cause: str = "budget", **reports: int) -> DeclaredGap:
    return DeclaredGap(CAM, (first, last), seq, 0, cause, reports)


def test_what_comes_twice_is_stored_once_and_told_as_repeated(store: Ingest) -> None:
    first = store.commit(Reading(records=_records(1, 2, 3)))
    assert (dict(first.stored), first.duplicates, first.repeated) == ({CAM: 3}, 0, frozenset())
    again = store.commit(Reading(records=_records(3, 4, 4)))
    assert (dict(again.stored), again.duplicates, again.repeated) == ({CAM: 1}, 2, {CAM})
    with Records(store.place) as held:
        assert [one["seq"] for one in held.find(Asked(), newest_first=False)] == [1, 2, 3, 4]


def test_the_same_number_of_another_epoch_or_device_is_another_record(store: Ingest) -> None:
    others = [Stream("local.cam1", "e2"), Stream("local.cam2", "e1"), Stream("other.cam1", "e1")]
    done = store.commit(Reading(records=[r for s in (CAM, *others) for r in _records(1, stream=s)]))
    assert sum(done.stored.values()) == 4
    assert set(done.coverage.values()) == {Coverage(1)}


def test_coverage_is_found_again_when_the_file_is_opened_again(store: Ingest) -> None:
    store.commit(Reading(records=_records(1, 2, 5, 6, 9)))
    store.close()
    opened = Ingest(store.place)
    done = opened.commit(Reading(records=_records(3)))
    assert done.coverage[CAM] == Coverage(3, ((5, 6), (9, 9)))
    assert opened.recorder_id == store.recorder_id
    opened.close()


def test_a_declared_gap_is_passed_over_and_what_comes_of_it_after_all_is_kept(store: Ingest) -> None:
    done = store.commit(Reading(records=_records(1, 6), gaps=[_gap(2, 5, 6, result=3, telemetry=1)]))
    assert (done.coverage[CAM], done.lost) == (Coverage(6), 4)
    assert store.commit(Reading(gaps=[_gap(2, 5, 6, result=3, telemetry=1)])).lost == 0
    late = store.commit(Reading(records=_records(3)))
    assert dict(late.stored) == {CAM: 1}
    with Records(store.place) as held:
        (gap,) = held.gaps()
        assert (gap["first"], gap["last"], gap["cause"], gap["lost"]) == (2, 5, "budget", 3)
        (node,) = held.nodes()
        assert (node["records"], node["lost"], node["missing"], node["upto"]) == (3, 3, 0, 6)


def test_a_report_of_a_device_without_a_clock_that_was_declared_gone_is_stored_once(store: Ingest) -> None:
    """Its time is when it came: another one each time, and on another day."""
    store.commit(Reading(gaps=[_gap(1, 2, 3, "crash")]))
    report = telemetry("local.cam1", 1, NOW_MS).model_copy(update={"clock_trusted": False})
    for turn in range(4):
        store.commit(reading_of(report, received_ms=NOW_MS + turn * 30_000_000))
    with reading(store.engine) as connection:
        counts = [connection.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar() for t in ("records", "samples")]
    assert counts == [1, 1]


def test_numbers_without_a_word_are_missing_and_not_lost(store: Ingest) -> None:
    store.commit(Reading(records=_records(1, 4), gaps=[_gap(7, 8, 9, "crash")]))
    with Records(store.place) as held:
        assert [(g["first"], g["last"], g["cause"], g["lost"]) for g in held.gaps()] == [
            (2, 3, "missing", None),
            (5, 6, "missing", None),
            (7, 8, "crash", None),
        ]
        assert held.nodes()[0]["missing"] == 4


def test_of_who_a_device_is_the_last_word_is_kept_and_its_birth_asks_for_the_watermark(store: Ingest) -> None:
    for at in (1, 2):
        done = store.commit(
            Reading(presences=[Presence(CAM, kind, at, f'{{"at":{at}}}') for kind in (Kind.BIRTH, Kind.STATE)])
        )
    assert (done.repeated, done.coverage) == ({CAM}, {CAM: Coverage()})
    with reading(store.engine) as connection:
        rows = connection.exec_driver_sql("SELECT kind, body FROM presence ORDER BY kind").all()
    assert rows == [(int(Kind.BIRTH), '{"at":2}'), (int(Kind.STATE), '{"at":2}')]


def test_the_quarantine_keeps_the_newest_counts_all_and_settles_what_has_a_place(
    store: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "KEPT_MESSAGES", 3)
    refusals = [Refusal("a/\ud800", f"no {n} \ud800", b"\xff\x00", 2) for n in range(5)]
    done = store.commit(Reading(refusals=[*refusals, Refusal("t", "r", b"", 0, CAM, 1)]))
    assert (done.refused, done.coverage[CAM]) == (6, Coverage(1))
    with Records(store.place) as held:
        found = held.quarantine()
    assert (found["refused"], found["kept"], len(found["messages"])) == (6, 3, 3)
    assert found["messages"][1]["reason"] == "no 4 ?"


def test_nothing_of_a_commit_that_fails_is_there_or_settled(store: Ingest) -> None:
    store.commit(Reading(records=_records(1)))
    bad = Reading(records=_records(2, stream=Stream("local.new", "e9")), gaps=[_gap(2, 1 << 63, 3)])
    with pytest.raises((OverflowError, StoreFailed)):
        store.commit(bad)
    done = store.commit(Reading(records=_records(2, stream=Stream("local.new", "e9"))))
    assert dict(done.stored) == {Stream("local.new", "e9"): 1}
    with Records(store.place) as held:
        assert [(n["node"], n["upto"]) for n in held.nodes()] == [("local.cam1", 1), ("local.new", 0)]


def test_records_are_found_by_device_time_and_kind(store: Ingest) -> None:
    other = Stream("plant.cam2", "e1")
    store.commit(Reading(records=[*_records(1, 2, 3), *_records(4, kind=Kind.EVENT), *_records(5, stream=other)]))
    when = datetime(1970, 1, 1, 0, 0, 2, tzinfo=timezone.utc)
    with Records(store.place) as held:

        def seqs(**asked: object) -> list[int]:
            return [one["seq"] for one in held.find(Asked(**asked))]  # type: ignore[arg-type]

        assert seqs() == [5, 4, 3, 2, 1]
        assert seqs(node="cam1") == seqs(node="local.cam1") == [4, 3, 2, 1]
        assert seqs(node="cam2") == [5]
        assert seqs(since=when) == [5, 4, 3, 2]
        assert seqs(until=when) == [1]
        assert seqs(kinds=(Kind.EVENT,)) == [4]
        assert [one["seq"] for one in held.find(Asked(), limit=2)] == [5, 4]
        with pytest.raises(InputError, match=r"knows no device 'cam9'"):
            held.check_node("cam9")


def test_a_file_is_written_by_one_recorder_and_read_by_any(tmp_path: Path) -> None:
    store = Ingest(tmp_path / "fleet.db")
    with pytest.raises(InputError, match="Another recorder writes"):
        Ingest(store.place)
    with Records(store.place), Records(store.place):
        store.commit(Reading(records=_records(1)))
    store.close()


def test_what_is_no_record_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, foreign, later = tmp_path / "text.db", tmp_path / "foreign.db", tmp_path / "later.db"
    text.write_text("not a database, but long enough to look at " * 40)
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE mine (a)")
    Ingest(later).close()
    with sqlite3.connect(later) as changed:
        changed.execute("UPDATE alembic_version SET version_num = '9999'")
    for path, words in ((text, "no store"), (foreign, "no store"), (later, "later edgesdk")):
        before = path.read_bytes()
        for opening in (Ingest, Records):
            with pytest.raises(InputError, match=words):
                opening(path)
        assert path.read_bytes() == before
    with pytest.raises(InputError, match="no store"):
        Records(tmp_path / "none.db")
    with pytest.raises(InputError, match="cannot be written"):
        Ingest(tmp_path / "no" / "folder.db")


_WRITER = """
    import sys
    from pathlib import Path
    from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
    from edgesdk.fleet.store.ingest import Ingest
    store = Ingest(Path(sys.argv[1]))
    seq = store.commit(Reading()) and 0
    while True:
        rows = [Record(Stream("local.cam1", "e1"), seq + n, Kind.RESULT, 0, "{}") for n in range(1, 8)]
        done = store.commit(Reading(records=rows))
        seq += 7
        print(done.coverage[rows[0].stream].upto, flush=True)
"""


def test_what_was_told_as_committed_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITER), path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            told = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        told = max([told, *map(int, writer.stdout.read().split())])
    opened = Ingest(path)
    done = opened.commit(Reading(records=_records(told)))
    opened.close()
    assert done.duplicates == 1
    assert done.coverage[CAM].upto >= told
    with Records(path) as held:
        (node,) = held.nodes()
    # Rows and what is settled by them are of one transaction.
    assert node["records"] == node["upto"]
    assert node["missing"] == 0
