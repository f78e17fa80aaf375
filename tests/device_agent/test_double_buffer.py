from __future__ import annotations

import random
import threading
from collections import deque

import pytest
from edgesdk_agent.double_buffer import DoubleBuffer, Drop
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgesdk_targets.errors import InputError
from edgesdk_testkit.slots import PATIENCE_S, wait_until


class Cell:
    def __init__(self) -> None:
        self.value = -1


class Exchange:
    """A buffer, a writer that numbers what it writes, and a list of what was dropped."""

    def __init__(self, cells: int, *, replace: bool) -> None:
        self.dropped: list[tuple[int, Drop]] = []
        self.buffer = DoubleBuffer([Cell() for _ in range(cells)], replace=replace, on_drop=self._drop)
        self.written = 0

    def _drop(self, cell: Cell, why: Drop) -> None:
        self.dropped.append((cell.value, why))

    def write(self) -> bool:
        cell = self.buffer.acquire()
        if cell is None:
            return False
        cell.value = self.written
        self.written += 1
        self.buffer.publish(cell)
        return True

    def read(self) -> int | None:
        cell = self.buffer.take()
        if cell is None:
            return None
        value = cell.value
        self.buffer.release(cell)
        return value


def test_a_buffer_without_cells_is_refused() -> None:
    with pytest.raises(InputError, match="at least one cell"):
        DoubleBuffer([], replace=False)


def test_every_frame_keeps_the_order_and_loses_nothing() -> None:
    exchange = Exchange(2, replace=False)
    assert exchange.write()
    assert exchange.write()
    assert [exchange.read(), exchange.read()] == [0, 1]
    assert exchange.dropped == []


def test_every_frame_makes_the_writer_wait_until_a_cell_is_free() -> None:
    exchange = Exchange(2, replace=False)
    exchange.write()
    exchange.write()
    third = threading.Thread(target=exchange.write)
    third.start()
    third.join(0.05)
    assert third.is_alive(), "the writer did not wait, so a cell was given out twice"
    assert exchange.read() == 0
    third.join(PATIENCE_S)
    assert not third.is_alive()
    assert [exchange.read(), exchange.read()] == [1, 2]


def test_freshest_replaces_what_was_not_read_and_says_so() -> None:
    exchange = Exchange(3, replace=True)
    for _ in range(4):
        exchange.write()
    assert exchange.read() == 3
    assert exchange.dropped == [(0, "replaced"), (1, "replaced"), (2, "replaced")]


def test_a_mailbox_never_makes_the_writer_wait_for_a_slow_reader() -> None:
    exchange = Exchange(3, replace=True)
    exchange.write()
    held = exchange.buffer.take()
    assert held is not None
    for _ in range(5):
        assert exchange.write()
    assert held.value == 0, "the reader's cell was written while it was held"
    exchange.buffer.release(held)
    assert exchange.read() == 5


@pytest.mark.parametrize(("cells", "readable"), [(3, True), (2, False)])
def test_only_the_third_cell_lets_a_reader_take_one_while_the_writer_waits_for_its_camera(
    cells: int, readable: bool
) -> None:
    exchange = Exchange(cells, replace=True)
    exchange.write()
    held = exchange.buffer.take()
    assert held is not None
    exchange.write()
    filling = exchange.buffer.acquire()
    assert filling is not None
    exchange.buffer.release(held)
    taken: list[Cell | None] = []
    reader = threading.Thread(target=lambda: taken.append(exchange.buffer.take()))
    reader.start()
    reader.join(PATIENCE_S if readable else 0.05)
    assert (not reader.is_alive()) == readable
    exchange.buffer.publish(filling)
    reader.join(PATIENCE_S)
    assert len(taken) == 1


def test_two_replacing_cells_give_the_ready_one_back_to_the_writer() -> None:
    exchange = Exchange(2, replace=True)
    exchange.write()
    held = exchange.buffer.take()
    assert held is not None
    exchange.write()
    exchange.write()
    assert exchange.dropped == [(1, "replaced")]
    exchange.buffer.release(held)
    assert exchange.read() == 2


def test_close_lets_the_reader_finish_and_the_writer_stop() -> None:
    exchange = Exchange(3, replace=False)
    exchange.write()
    filling = exchange.buffer.acquire()
    assert filling is not None
    exchange.buffer.close()
    assert exchange.buffer.acquire() is None
    filling.value = 7
    exchange.buffer.publish(filling)
    assert [exchange.read(), exchange.read(), exchange.read()] == [0, 7, None]
    assert exchange.dropped == []


def test_a_reader_waits_for_what_is_still_being_written_when_the_buffer_closes() -> None:
    exchange = Exchange(2, replace=False)
    filling = exchange.buffer.acquire()
    assert filling is not None
    exchange.buffer.close()
    reads: list[int | None] = []
    reader = threading.Thread(target=lambda: reads.extend((exchange.read(), exchange.read())))
    reader.start()
    reader.join(0.05)
    assert reads == [], "the reader took the end for granted"
    filling.value = 9
    exchange.buffer.publish(filling)
    reader.join(PATIENCE_S)
    assert reads == [9, None]


def test_abort_drops_what_is_ready_and_what_is_still_being_written() -> None:
    exchange = Exchange(3, replace=False)
    exchange.write()
    filling = exchange.buffer.acquire()
    assert filling is not None
    exchange.buffer.abort()
    assert exchange.read() is None
    filling.value = 1
    exchange.buffer.publish(filling)
    assert exchange.dropped == [(0, "stopped"), (1, "stopped")]
    assert exchange.buffer.wait_idle(0)


def test_an_abandoned_cell_is_free_again_and_lets_a_closed_buffer_end() -> None:
    exchange = Exchange(1, replace=False)
    filling = exchange.buffer.acquire()
    assert filling is not None
    exchange.buffer.close()
    taken: list[Cell | None] = []
    reader = threading.Thread(target=lambda: taken.append(exchange.buffer.take()))
    reader.start()
    exchange.buffer.abandon(filling)
    reader.join(PATIENCE_S)
    assert taken == [None]


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("side", ["acquire", "take"])
def test_the_end_wakes_whoever_waits(side: str, end: str) -> None:
    buffer = DoubleBuffer([Cell()], replace=False)
    if side == "acquire":
        assert buffer.acquire() is not None
    answers: list[Cell | None] = []
    waiting = threading.Thread(target=lambda: answers.append(getattr(buffer, side)()))
    waiting.start()
    # Whether it waits already or comes too late to wait, it must not stay.
    getattr(buffer, end)()
    waiting.join(PATIENCE_S)
    assert answers == [None]


def test_idle_means_that_every_cell_came_back() -> None:
    exchange = Exchange(2, replace=False)
    exchange.write()
    held = exchange.buffer.take()
    assert held is not None
    exchange.buffer.close()
    assert not exchange.buffer.wait_idle(0)
    releasing = threading.Thread(target=exchange.buffer.release, args=(held,))
    releasing.start()
    assert exchange.buffer.wait_idle(PATIENCE_S)
    releasing.join(PATIENCE_S)


@settings(max_examples=25, deadline=None)
@given(cells=st.integers(1, 5), replace=st.booleans(), count=st.integers(0, 60), seed=st.integers(0, 2**16))
def test_between_real_threads_each_write_is_read_once_or_dropped(
    cells: int, replace: bool, count: int, seed: int
) -> None:
    exchange = Exchange(cells, replace=replace)
    read: list[int] = []
    pause = threading.Event()
    turns = random.Random(seed)
    pauses = [turns.choice((0.0, 0.0, 1e-4, 1e-3)) for _ in range(2 * count + 2)]

    def reader() -> None:
        while (value := exchange.read()) is not None:
            read.append(value)
            pause.wait(pauses[value])

    thread = threading.Thread(target=reader)
    thread.start()
    for index in range(count):
        exchange.write()
        pause.wait(pauses[count + index])
    exchange.buffer.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert read == sorted(read), "the order was lost"
    dropped = [value for value, _ in exchange.dropped]
    assert sorted(read + dropped) == list(range(count))
    if not replace:
        assert dropped == []
    elif count:
        assert read[-1] == count - 1, "the newest was not delivered"


class BufferModel(RuleBasedStateMachine):
    """Any sequence of steps that do not wait, against a model of where each cell is."""

    def __init__(self) -> None:
        super().__init__()
        self.replace = True
        self.size = 3
        self.exchange = Exchange(3, replace=True)
        self.filling: Cell | None = None
        self.held: Cell | None = None
        self.ready: deque[int] = deque()
        self.lost: list[int] = []
        self.reads: list[int] = []

    def free(self) -> int:
        return self.size - (self.filling is not None) - (self.held is not None) - len(self.ready)

    @precondition(lambda self: self.exchange.written == 0 and self.filling is None)
    @rule(size=st.integers(1, 4), replace=st.booleans())
    def begin(self, size: int, replace: bool) -> None:
        self.size, self.replace = size, replace
        self.exchange = Exchange(size, replace=replace)

    @precondition(lambda self: self.filling is None and (self.free() or (self.replace and self.ready)))
    @rule()
    def acquire(self) -> None:
        stolen = not self.free()
        self.filling = self.exchange.buffer.acquire()
        if stolen:
            self.lost.append(self.ready.popleft())

    @precondition(lambda self: self.filling is not None)
    @rule()
    def publish(self) -> None:
        assert self.filling is not None
        if self.replace and self.ready:
            self.lost.append(self.ready.popleft())
        self.filling.value = self.exchange.written
        self.ready.append(self.exchange.written)
        self.exchange.written += 1
        self.exchange.buffer.publish(self.filling)
        self.filling = None

    @precondition(lambda self: self.filling is not None)
    @rule()
    def abandon(self) -> None:
        assert self.filling is not None
        self.exchange.buffer.abandon(self.filling)
        self.filling = None

    @precondition(lambda self: self.held is None and self.ready)
    @rule()
    def take(self) -> None:
        self.held = self.exchange.buffer.take()
        assert self.held is not None
        assert self.held.value == self.ready.popleft()
        self.reads.append(self.held.value)

    @precondition(lambda self: self.held is not None)
    @rule()
    def release(self) -> None:
        assert self.held is not None
        self.exchange.buffer.release(self.held)
        self.held = None

    @invariant()
    def accounts_agree(self) -> None:
        assert [value for value, _ in self.exchange.dropped] == self.lost
        assert self.exchange.written == len(self.reads) + len(self.lost) + len(self.ready)
        assert self.reads == sorted(self.reads)


TestBufferModel = BufferModel.TestCase
TestBufferModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_buffer_waits_where_the_model_says_so() -> None:
    # Negative control of the state machine: what it never does because it would wait does wait.
    exchange = Exchange(1, replace=True)
    exchange.write()
    held = exchange.buffer.take()
    assert held is not None
    waiting = threading.Thread(target=exchange.buffer.acquire)
    waiting.start()
    wait_until(waiting.is_alive, "the writer's start")
    waiting.join(0.05)
    assert waiting.is_alive()
    exchange.buffer.release(held)
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
