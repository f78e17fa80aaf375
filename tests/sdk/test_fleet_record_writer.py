"""Groups of commits, a disk that is full, and words to devices where the broker takes no more."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from edgesdk.fleet.record import writer as writer_module
from edgesdk.fleet.record.acknowledger import Acknowledger
from edgesdk.fleet.record.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.record.coverage import Coverage
from edgesdk.fleet.record.mqtt_connection import Outgoing
from edgesdk.fleet.record.store import Committed, Store
from edgesdk.fleet.record.watermark import Word
from edgesdk.fleet.record.writer import MAX_ROWS, BatchWriter

CAM = Stream("local.cam1", "e1")
_PATIENCE_S = 20.0


def _reading(first: int, count: int = 1, size: int = 2) -> Reading:
    return Reading(records=[Record(CAM, seq, Kind.RESULT, 0, "x" * size) for seq in range(first, first + count)])


@asynccontextmanager
async def _writing(path: Path) -> AsyncIterator[tuple[Store, BatchWriter, list[Committed]]]:
    store, commits = Store(path), list[Committed]()
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
            waiting = [writer.put(_reading(seq)) for seq in range(1, 2001)]
            await asyncio.wait_for(asyncio.gather(*set(waiting)), _PATIENCE_S)
            assert [sum(c.stored.values()) for c in commits] == [MAX_ROWS] * 4
            assert commits[-1].coverage[CAM] == Coverage(2000)
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


def test_a_full_disk_is_waited_for_and_nothing_is_acknowledged_meanwhile(tmp_path: Path) -> None:
    async def go() -> None:
        async with _writing(tmp_path / "fleet.db") as (store, writer, commits):
            await asyncio.wait_for(writer.put(_reading(1)), _PATIENCE_S)
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages}")
            done = writer.put(_reading(2, count=100, size=4000))
            await _until(lambda: bool(writer.problem))
            assert "full" in writer.problem
            assert not done.done()
            assert not await writer.drain(0.05)
            store._connection.execute("PRAGMA max_page_count = 1000000")
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

    from edgesdk.fleet.record.live import LiveTable
    from edgesdk.fleet.record.recorder import NodeFigures, Recorder
    from edgesdk_targets.broker_address import BrokerAddress

    store = Store(tmp_path / "fleet.db")
    recorder = Recorder(BrokerAddress("box"), store)
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


def test_what_the_broker_did_not_answer_is_counted() -> None:
    async def go() -> None:
        outgoing = Outgoing(2)
        outgoing.push_message(1, b"")
        assert not outgoing.full
        outgoing.push_message(2, b"")
        assert outgoing.full
        waiting = asyncio.ensure_future(outgoing.wait_empty())
        for mid in (1, 2):
            await asyncio.sleep(0)
            assert not waiting.done()
            outgoing.remove_message_by_mid(mid)
        await asyncio.wait_for(waiting, _PATIENCE_S)

    asyncio.run(go())
