"""Groups of commits, a disk that is full, and words to devices where the broker takes no more."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.collect import writer as writer_module
from edgesdk.fleet.collect.acknowledger import Acknowledger
from edgesdk.fleet.collect.watermark import Word
from edgesdk.fleet.collect.writer import ENOUGH_ROWS, MAX_ROWS, BatchWriter
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import Kind, Presence, Reading, Record, Refusal, Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.ingest import Committed, Ingest

CAM = Stream("local.cam1", "e1")
_PATIENCE_S = 20.0


def _reading(first: int, count: int = 1, size: int = 2) -> Reading:
    return Reading(records=[Record(CAM, seq, Kind.RESULT, 0, "x" * size) for seq in range(first, first + count)])


@asynccontextmanager
async def _writing(path: Path) -> AsyncIterator[tuple[Ingest, BatchWriter, list[Committed]]]:
    store, commits = Ingest(path), list[Committed]()
    writer = BatchWriter(store, commits.append)
    running = asyncio.ensure_future(writer.run())
    try:
        yield store, writer, commits
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        writer.close()
        store.close()


async def _until(true: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not true():  # noqa: ASYNC110  (what is waited for has no event of its own)
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), _PATIENCE_S)


def test_many_messages_are_few_commits_of_bounded_size(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (_, writer, commits):
            last = 2 * MAX_ROWS + ENOUGH_ROWS
            waiting = [writer.put(_reading(seq)) for seq in range(1, last + 1)]
            await asyncio.wait_for(asyncio.gather(*set(waiting)), _PATIENCE_S)
            assert [sum(c.stored.values()) for c in commits] == [MAX_ROWS, MAX_ROWS, ENOUGH_ROWS]
            assert commits[-1].coverage[CAM] == Coverage(last)
            assert writer.waiting == 0

    asyncio.run(go())


def test_a_few_messages_wait_for_no_more_than_the_bound_and_a_full_window_for_less(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (_, writer, commits):
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.wait_for(writer.put(_reading(1)), _PATIENCE_S)
            assert loop.time() - began >= writer_module.MAX_WAIT_S * 0.9
            # A broker that sends twenty and waits: they are one group, closed before its time.
            done = [writer.put(_reading(seq)) for seq in range(2, 22)]
            await asyncio.wait_for(asyncio.gather(*set(done)), _PATIENCE_S)
            assert [sum(c.stored.values()) for c in commits] == [1, 20]

    asyncio.run(go())


def test_a_commit_begins_with_enough_and_what_comes_meanwhile_is_the_next_one(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, commits):
            begun, go_on, commit = asyncio.Event(), threading.Event(), store.commit
            loop = asyncio.get_running_loop()

            def slow(reading: Reading, *, doubting: bool = False) -> Committed:
                loop.call_soon_threadsafe(begun.set)
                assert go_on.wait(_PATIENCE_S)
                return commit(reading, doubting=doubting)

            store.commit = slow  # type: ignore[method-assign]
            done = [writer.put(_reading(seq)) for seq in range(1, ENOUGH_ROWS + 1)]
            await asyncio.wait_for(begun.wait(), _PATIENCE_S)
            done += [writer.put(_reading(seq)) for seq in range(ENOUGH_ROWS + 1, 3 * ENOUGH_ROWS + 1)]
            go_on.set()
            await asyncio.wait_for(asyncio.gather(*set(done)), _PATIENCE_S)
            assert [sum(c.stored.values()) for c in commits] == [ENOUGH_ROWS, 2 * ENOUGH_ROWS]

    asyncio.run(go())


def test_the_thread_goes_on_with_full_groups_while_the_loop_is_busy(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, commits):
            commit, third, sizes = store.commit, threading.Event(), list[int]()

            def counted(reading: Reading, *, doubting: bool = False) -> Committed:
                sizes.append(reading.rows)
                if len(sizes) == 3:
                    third.set()
                return commit(reading, doubting=doubting)

            store.commit = counted  # type: ignore[method-assign]
            done = [writer.put(_reading(1 + MAX_ROWS * n, MAX_ROWS)) for n in range(4)]
            done.append(writer.put(_reading(1 + 4 * MAX_ROWS)))
            await _until(lambda: bool(sizes))
            # Nobody else has a turn here until the third one has begun.
            assert third.wait(_PATIENCE_S)
            assert commits == []
            await asyncio.wait_for(asyncio.gather(*done), _PATIENCE_S)
            assert sizes == [MAX_ROWS] * 4 + [1]
            assert commits[-1].coverage[CAM] == Coverage(4 * MAX_ROWS + 1)

    asyncio.run(go())


def test_of_many_full_groups_none_is_forgotten_between_two_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_ROWS", 10)

    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (_, writer, commits):
            last = 10 * (3 * writer_module._GROUPS_AT_ONCE + 1) + 5
            waiting = {writer.put(_reading(seq)) for seq in range(1, last + 1)}
            await asyncio.wait_for(asyncio.gather(*waiting), _PATIENCE_S)
            assert [sum(c.stored.values()) for c in commits] == [10] * (last // 10) + [5]
            assert (commits[-1].coverage[CAM], writer.waiting) == (Coverage(last), 0)

    asyncio.run(go())


def test_a_group_that_fails_stops_those_behind_it_and_nobody_is_told_out_of_turn(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, commits):
            commit, tried = store.commit, list[int]()

            def locked(reading: Reading, *, doubting: bool = False) -> Committed:
                tried.append(reading.records[0].seq)
                if tried.count(1 + MAX_ROWS) in (1, 2):
                    raise StoreBusy("somebody locks it", hint="")
                return commit(reading, doubting=doubting)

            store.commit = locked  # type: ignore[method-assign]
            firsts, settled = [1 + MAX_ROWS * n for n in range(4)], list[int]()
            done = [writer.put(_reading(first, MAX_ROWS)) for first in firsts]
            for first, one in zip(firsts, done, strict=True):
                one.add_done_callback(lambda _, first=first: settled.append(first))
            await _until(lambda: writer.problem == "somebody locks it")
            await asyncio.wait_for(asyncio.gather(*done), _PATIENCE_S)
            assert tried == [1, firsts[1], firsts[1], firsts[1], firsts[2], firsts[3]]
            assert settled == firsts
            assert (writer.problem, writer.waiting) == ("", 0)
            assert [sum(c.stored.values()) for c in commits] == [MAX_ROWS] * 4

    asyncio.run(go())


def test_what_is_given_up_is_told_to_nobody_as_stored(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, _):
            commit, begun, go_on = store.commit, threading.Event(), threading.Event()

            def slow(reading: Reading, *, doubting: bool = False) -> Committed:
                begun.set()
                assert go_on.wait(_PATIENCE_S)
                return commit(reading, doubting=doubting)

            store.commit = slow  # type: ignore[method-assign]
            done = [writer.put(_reading(1 + MAX_ROWS * n, MAX_ROWS)) for n in range(2)] + [
                writer.put(_reading(9_000_000))
            ]
            await _until(begun.is_set)
            writer.abandon()
            go_on.set()
            assert all(one.cancelled() for one in done)

    asyncio.run(go())


def test_a_group_that_the_thread_takes_as_all_are_given_up_is_one_of_them(tmp_path: Path) -> None:
    async def go() -> None:
        store = Ingest(tmp_path / "fleet.db")
        writer = BatchWriter(store, lambda _: None)
        looked, given_up = threading.Event(), threading.Event()

        class Slow(deque[Any]):
            """The time between a look whether there is one and its taking is long."""

            def __bool__(self) -> bool:
                found = len(self) > 0
                if threading.current_thread() is not threading.main_thread():
                    looked.set()
                    given_up.wait(0.3)
                return found

        writer._full = Slow()
        done = [writer.put(_reading(1 + MAX_ROWS * n, MAX_ROWS)) for n in range(2)]
        running = asyncio.ensure_future(writer.run())
        await _until(looked.is_set)
        writer.abandon()
        given_up.set()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), 0.2)
        assert done[1].cancelled()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        writer.close()
        store.close()

    asyncio.run(go())


@pytest.mark.parametrize("which", ["on_commit", "on_lags"])
def test_an_error_of_whoever_is_told_ends_the_run_after_the_group_was_settled(tmp_path: Path, which: str) -> None:
    async def go() -> None:
        store = Ingest(tmp_path / "fleet.db")

        def wrong(*_: Any) -> None:
            raise LookupError("no such figure")

        told: dict[str, Any] = {"on_commit": lambda _: None, which: wrong}
        writer = BatchWriter(store, **told)
        running = asyncio.ensure_future(writer.run())
        done = writer.put(_reading(1))
        with pytest.raises(LookupError, match="no such figure"):
            await asyncio.wait_for(running, _PATIENCE_S)
        assert (done.done(), done.cancelled(), writer.waiting) == (True, False, 0)
        writer.close()
        store.close()

    asyncio.run(go())


def test_a_group_that_failed_is_not_tried_so_again(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, commits):
            commit, tried = store.commit, list[bool]()

            def odd(reading: Reading, *, doubting: bool = False) -> Committed:
                tried.append(doubting)
                if not doubting:
                    raise ValueError("odd")
                return commit(reading, doubting=doubting)

            store.commit = odd  # type: ignore[method-assign]
            await asyncio.wait_for(writer.put(_reading(1, 10)), _PATIENCE_S)
            assert tried == [False, True]
            assert [sum(c.stored.values()) for c in commits] == [10]

    asyncio.run(go())


def test_a_full_disk_is_waited_for_and_nothing_is_acknowledged_meanwhile(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, commits):
            await asyncio.wait_for(writer.put(_reading(1)), _PATIENCE_S)
            raw: Any = store.connection.connection.driver_connection
            pages = raw.execute("PRAGMA page_count").fetchone()[0]
            raw.execute(f"PRAGMA max_page_count = {pages}")
            done = writer.put(_reading(2, count=100, size=4000))
            await _until(lambda: bool(writer.problem))
            assert "full" in writer.problem
            assert not done.done()
            assert not await writer.drain(0.05)
            raw.execute("PRAGMA max_page_count = 1000000")
            await asyncio.wait_for(done, _PATIENCE_S)
            assert (writer.problem, commits[-1].coverage[CAM]) == ("", Coverage(101))

    asyncio.run(go())


def test_who_brings_more_than_memory_shall_hold_waits(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (_, writer, commits):
            writer.put(_reading(1, count=600, size=writer_module._MAX_WAITING_BYTES // 500))
            room = asyncio.ensure_future(writer.room())
            await asyncio.sleep(0)
            assert not room.done()
            await asyncio.wait_for(room, _PATIENCE_S)
            assert sum(commits[-1].stored.values()) == 600

    asyncio.run(go())


@pytest.mark.parametrize(
    ("reading", "at_least"),
    [
        (Reading(), 500),
        (_reading(1, size=5000), 5000),
        (Reading(records=[Record(CAM, 1, Kind.RESULT, 0, "\u8a9e" * 5000)]), 10_000),
        (Reading(presences=[Presence(CAM, Kind.BIRTH, 0, "x" * 5000)]), 5000),
        (Reading(refusals=[Refusal("t", "r", b"x" * 4000, 9000)]), 4000),
    ],
    ids=["nothing", "record", "other-script", "birth", "refusal"],
)
def test_what_waits_is_counted_as_it_lies_in_memory(tmp_path: Path, reading: Reading, at_least: int) -> None:
    async def go() -> None:
        store = Ingest(tmp_path / "fleet.db")
        writer = BatchWriter(store, lambda _: None)
        writer.put(reading)
        assert at_least <= writer._waiting_bytes < at_least + 4000
        writer.close()
        store.close()

    asyncio.run(go())


def test_what_no_broker_waits_for_is_not_kept_where_there_is_no_room(tmp_path: Path) -> None:
    from edgesdk.fleet.collect.collector import Collector
    from edgesdk_targets.broker_address import BrokerAddress

    async def go() -> None:
        store = Ingest(tmp_path / "fleet.db")
        collector = Collector(BrokerAddress("box"), store)
        collector._never = asyncio.get_running_loop().create_future()
        collector._writer = writer = BatchWriter(store, lambda _: None)
        writer.put(_reading(1, count=600, size=writer_module._MAX_WAITING_BYTES // 500))
        alone, said = len(asyncio.all_tasks()), Received("edgesdk/1/local.cam1/up/result", b"x")
        for _ in range(3):
            assert collector._receive(said._replace(qos=0)) is collector._never
        assert (len(asyncio.all_tasks()), collector.figures.unread) == (alone, 3)
        # Negative control: of these what is read is taken, and no more is read; at the end none is, and none needs room.
        before = writer.waiting
        assert collector._receive(said) is not collector._never
        assert (len(asyncio.all_tasks()), writer.waiting, collector.has_room) == (alone, before + 1, False)
        room = asyncio.ensure_future(collector.room())
        await asyncio.sleep(0)
        assert not room.done()
        room.cancel()
        collector._leaving = True
        assert collector.has_room
        await asyncio.wait_for(collector.room(), _PATIENCE_S)
        writer.close()
        store.close()

    asyncio.run(go())


def test_beside_a_whole_window_of_a_backlog_there_is_room_for_what_no_broker_waits_for(tmp_path: Path) -> None:
    from edgesdk.fleet.collect.collector import Collector
    from edgesdk.fleet.collect.mqtt_connection import WINDOW_MESSAGES
    from edgesdk_targets.broker_address import BrokerAddress

    async def go() -> None:
        store = Ingest(tmp_path / "fleet.db")
        collector = Collector(BrokerAddress("box"), store)
        collector._never = asyncio.get_running_loop().create_future()
        collector._writer = writer = BatchWriter(store, lambda _: None)
        said = Received("edgesdk/1/local.cam1/up/result", b"x", qos=0)
        for waiting, unread in ((WINDOW_MESSAGES, 0), (100 * WINDOW_MESSAGES, 1)):
            writer.waiting = waiting
            collector._receive(said)
            assert collector.figures.unread == unread
        writer.close()
        store.close()

    asyncio.run(go())


def test_words_that_wait_for_the_broker_are_not_queued_but_replaced() -> None:
    async def go() -> None:
        heard: list[Word] = []
        free = asyncio.Event()

        async def say(_stream: Stream, word: Word) -> bool:
            await free.wait()
            heard.append(word)
            return True

        speaker = Acknowledger(say)
        running = asyncio.ensure_future(speaker.run())
        for upto in range(1000):
            speaker.note({CAM: Coverage(upto)}, ())
            await asyncio.sleep(0)
        assert heard == []
        free.set()
        await _until(lambda: bool(heard) and heard[-1] == Word(999))
        assert len(heard) == 2
        speaker.note({CAM: Coverage(1000)}, ())
        await speaker.say_all()
        assert heard[-1] == Word(1000)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())


def test_a_word_that_could_not_be_sent_is_said_again() -> None:
    """What a broker kept for us is stored before our connection counts as made, and nobody asks twice."""

    async def go() -> None:
        heard: list[Word] = []
        refused = iter((True, True))

        async def say(_stream: Stream, word: Word) -> bool:
            if next(refused, False):
                return False
            heard.append(word)
            return True

        speaker = Acknowledger(say)
        running = asyncio.ensure_future(speaker.run())
        speaker.note({CAM: Coverage(100)}, ())
        await _until(lambda: bool(heard))
        assert heard == [Word(100)]
        assert speaker.said == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())


def test_the_live_table_shows_each_device_and_what_is_wrong(tmp_path: Path) -> None:
    from rich.console import Console

    from edgesdk.fleet.collect.collector import Collector
    from edgesdk.fleet.collect.figures import NodeFigures
    from edgesdk.fleet.collect.live import LiveTable
    from edgesdk_targets.broker_address import BrokerAddress

    store = Ingest(tmp_path / "fleet.db")
    recorder = Collector(BrokerAddress("box"), store)
    console = Console(width=100, record=True, file=io.StringIO())
    table = LiveTable(recorder)
    console.print(table.draw())
    recorder.figures.stored, recorder.figures.lost, recorder.figures.refused = 12, 3, 1
    for number in range(25):
        recorder.figures.nodes[f"local.cam{number}"] = NodeFigures("e1", 12, 9, 2)
    console.print(table.draw())
    text = console.export_text()
    store.close()
    for words in (
        "No device has reported",
        "local.cam3",
        "and 5 more",
        "12 stored",
        "3 declared lost",
        "1 in quarantine",
    ):
        assert words in text
    assert "mqtt://box:1883: no connection" in text
