from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Encoded

EVENT, RESULT, TELEMETRY = ReportKind.EVENT, ReportKind.RESULT, ReportKind.TELEMETRY


def _body(size: int = 1):  # type: ignore[no-untyped-def]
    return lambda _epoch, _seq: Encoded(b"x" * size)


def _seqs(queue: ReportQueue, count: int = 1000) -> list[int]:
    return [report.seq for report in queue.take(count)]


def test_numbers_are_given_at_put_and_grow_by_one() -> None:
    queue = ReportQueue()
    told: list[tuple[str, int]] = []

    def build(epoch: str, seq: int) -> Encoded:
        told.append((epoch, seq))
        return Encoded(b"")

    assert [queue.put(kind, build) for kind in (RESULT, TELEMETRY, EVENT)] == [1, 2, 3]
    assert told == [(queue.epoch, 1), (queue.epoch, 2), (queue.epoch, 3)]
    assert queue.next_seq == 4
    assert ReportQueue().epoch != queue.epoch


def test_events_overtake_and_the_rest_keeps_its_order() -> None:
    queue = ReportQueue()
    for kind in (RESULT, TELEMETRY, RESULT, EVENT, RESULT, EVENT):
        queue.put(kind, _body())
    assert _seqs(queue) == [4, 6, 1, 2, 3, 5]


def test_when_full_the_oldest_of_the_lowest_kind_goes_and_is_counted() -> None:
    queue = ReportQueue(max_items=4)
    for kind in (TELEMETRY, RESULT, EVENT, TELEMETRY):
        queue.put(kind, _body())
    queue.put(RESULT, _body())
    assert queue.counts().lost == {"telemetry": 1}
    queue.put(RESULT, _body())
    queue.put(RESULT, _body())
    assert queue.counts().lost == {"telemetry": 2, "result": 1}
    assert _seqs(queue) == [3, 5, 6, 7]


def test_a_lesser_report_does_not_push_out_a_greater_one() -> None:
    queue = ReportQueue(max_items=2)
    for _ in range(2):
        queue.put(EVENT, _body())
    assert queue.put(TELEMETRY, _body()) == 3
    assert queue.counts().lost == {"telemetry": 1}
    assert _seqs(queue) == [1, 2]


def test_bytes_are_bounded_too() -> None:
    queue = ReportQueue(max_bytes=100)
    for _ in range(5):
        queue.put(RESULT, _body(40))
    assert queue.counts().size_bytes == 80
    assert queue.counts().dropped["result"] == 3
    queue.put(RESULT, _body(101))
    assert queue.counts().dropped["result"] == 6
    assert queue.counts().size_bytes == 0


def test_what_is_on_its_way_is_not_dropped() -> None:
    queue = ReportQueue(max_items=2)
    queue.put(RESULT, _body())
    queue.put(RESULT, _body())
    assert _seqs(queue, 2) == [1, 2]
    queue.put(RESULT, _body())
    assert queue.counts().in_flight == 2
    assert queue.counts().dropped["result"] == 1
    queue.done(1)
    queue.done(2)
    assert queue.counts().delivered["result"] == 2
    assert queue.pending == 0


def test_what_comes_back_takes_its_old_place() -> None:
    queue = ReportQueue()
    for _ in range(4):
        queue.put(RESULT, _body())
    queue.put(EVENT, _body())
    assert _seqs(queue, 4) == [5, 1, 2, 3]
    queue.done(1)
    assert queue.give_back() == 3
    assert _seqs(queue) == [5, 2, 3, 4]


def test_done_and_refuse_ignore_what_is_not_on_its_way() -> None:
    queue = ReportQueue()
    queue.put(RESULT, _body())
    queue.done(1)
    queue.refuse(99)
    queue.done(0)
    assert queue.pending == 1
    queue.take(1)
    queue.refuse(1)
    queue.done(1)
    counts = queue.counts()
    assert (counts.refused["result"], counts.delivered["result"], counts.lost) == (1, 0, {"result": 1})


def test_what_cannot_be_built_uses_no_number() -> None:
    queue = ReportQueue()

    def broken(_epoch: str, _seq: int) -> Encoded:
        raise InputError("too large")

    with pytest.raises(InputError):
        queue.put(RESULT, broken)
    assert queue.put(RESULT, _body()) == 1
    assert queue.counts().put["result"] == 1


def test_waiting_ends_when_the_last_is_done_and_when_the_time_is_up() -> None:
    queue = ReportQueue()
    assert queue.wait_empty(0)
    queue.put(RESULT, _body())
    assert not queue.wait_empty(0.01)
    queue.take(1)
    ended = threading.Event()
    waiter = threading.Thread(target=lambda: ended.set() if queue.wait_empty(30) else None)
    waiter.start()
    queue.done(1)
    waiter.join(30)
    assert ended.is_set()


def test_whoever_listens_is_told_of_each_put() -> None:
    queue, calls = ReportQueue(), []
    queue.listen(lambda: calls.append(queue.pending))
    queue.put(RESULT, _body())
    queue.put(RESULT, _body())
    assert calls == [1, 2]


@pytest.mark.parametrize("bounds", [{"max_items": 0}, {"max_bytes": 0}])
def test_a_queue_without_room_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(InputError):
        ReportQueue(**bounds)  # type: ignore[arg-type]


def test_many_threads_lose_nothing_uncounted() -> None:
    queue = ReportQueue(max_items=50)
    taken: list[int] = []
    stop = threading.Event()

    def deliver() -> None:
        while not stop.is_set() or queue.pending:
            for report in queue.take(7):
                taken.append(report.seq)
                queue.done(report.seq)

    def report() -> None:
        for _ in range(500):
            queue.put(RESULT, _body())

    consumer = threading.Thread(target=deliver)
    producers = [threading.Thread(target=report) for _ in range(4)]
    for thread in (consumer, *producers):
        thread.start()
    for thread in producers:
        thread.join(60)
    stop.set()
    consumer.join(60)
    counts = queue.counts()
    assert counts.put["result"] == 2000
    assert counts.delivered["result"] + counts.dropped["result"] == 2000
    assert taken == sorted(set(taken))
    assert len(taken) == counts.delivered["result"]


ACTIONS = st.one_of(
    st.sampled_from(list(ReportKind)).map(lambda kind: ("put", kind)),
    st.integers(1, 5).map(lambda n: ("take", n)),
    st.just(("done", 0)),
    st.just(("refuse", 0)),
    st.just(("give_back", 0)),
)


@given(actions=st.lists(ACTIONS, max_size=60), room=st.integers(1, 6))
def test_the_books_always_balance(actions: list[tuple[str, object]], room: int) -> None:
    queue = ReportQueue(max_items=room)
    on_way: list[int] = []
    for action, argument in actions:
        if action == "put":
            assert isinstance(argument, ReportKind)
            queue.put(argument, _body(3))
        elif action == "take":
            on_way += _seqs(queue, int(str(argument)))
        elif action == "give_back":
            queue.give_back()
            on_way.clear()
        elif on_way:
            (queue.done if action == "done" else queue.refuse)(on_way.pop(0))
        counts = queue.counts()
        settled = sum(sum(c.values()) for c in (counts.delivered, counts.dropped, counts.refused))
        assert sum(counts.put.values()) == settled + counts.pending + counts.in_flight
        assert counts.in_flight == len(on_way)
        assert counts.pending + counts.in_flight <= max(room, len(on_way))
        assert counts.size_bytes == 3 * (counts.pending + counts.in_flight)
