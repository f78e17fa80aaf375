"""What every way of delivering promises, and what each does with a hook that raises, is slow, or never returns."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgesdk_agent.delivery.asked_frames import filter_of
from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.hook_limits import WhenFull
from edgesdk_agent.delivery.hook_settings import HookSettings, hook_delivery
from edgesdk_agent.delivery.inline import InlineDelivery, delivery_of
from edgesdk_agent.delivery.process import ProcessDelivery
from edgesdk_agent.delivery.stage_settings import StageSettings, filtered_delivery, frame_filter
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Regression
from edgesdk_targets.tensor import Array
from edgesdk_testkit.hooks import later, note
from edgesdk_testkit.slots import PATIENCE_S, wait_until


def frame(seq: int, image: Array | None = None) -> FrameResult:
    return FrameResult("door", seq, 1.0, 2.0, 0.1, 0.01, 0.02, Regression(np.array([seq], np.float32)), image)


def no_hook_thread_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("edgesdk-hook")]


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that a hook can wait for; set at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()
    wait_until(no_hook_thread_left, "the end of every hook's thread")


class Hook:
    """Collects frames; raises at those that are to fail."""

    def __init__(self, *, fails: Callable[[int], bool] = lambda _: False) -> None:
        self.seqs: list[int] = []
        self.pixels: list[int] = []
        self.threads: set[str] = set()
        self._fails = fails

    def __call__(self, result: FrameResult) -> None:
        self.seqs.append(result.seq)
        self.threads.add(threading.current_thread().name)
        if result.image is not None:
            self.pixels.append(int(result.image[0, 0, 0]))
        if self._fails(result.seq):
            raise ValueError(f"no {result.seq}")


WAYS: list[Callable[..., Delivery]] = [InlineDelivery, ThreadDelivery]


@pytest.mark.parametrize("way", WAYS)
def test_every_result_is_delivered_once_and_in_order(way: Callable[..., Delivery]) -> None:
    hook = Hook()
    delivery = way(hook)
    delivery.start()
    for seq in range(200):
        delivery(frame(seq))
    delivery.close(PATIENCE_S)
    delivery.close(PATIENCE_S)
    assert hook.seqs == list(range(200))
    assert delivery.counts() == DeliveryCounts(delivered=200)


def test_a_delivery_with_a_thread_runs_once() -> None:
    delivery = ThreadDelivery(Hook())
    delivery.start()
    for _ in range(2):
        with pytest.raises(InputError, match="runs once"):
            delivery.start()
        delivery.close(PATIENCE_S)
    never_run = ThreadDelivery(Hook())
    never_run.close(0.0)
    with pytest.raises(InputError, match="runs once"):
        never_run.start()


@pytest.mark.parametrize("way", WAYS)
def test_a_hook_that_raises_is_counted_always_and_told_once(way: Callable[..., Delivery]) -> None:
    news: list[HookNews] = []
    hook = Hook(fails=lambda seq: seq % 2 == 1)
    delivery = way(hook, name="mine", on_news=news.append)
    delivery.start()
    for seq in range(10):
        delivery(frame(seq))
    delivery.close(PATIENCE_S)
    assert delivery.counts() == DeliveryCounts(delivered=5, failed=5)
    assert hook.seqs == list(range(10))
    assert [(n.hook, n.state, n.message) for n in news] == [("mine", "failing", "ValueError: no 1")]


def test_a_thread_takes_the_picture_with_it() -> None:
    hook, image = Hook(), np.zeros((4, 6, 3), np.uint8)
    delivery = ThreadDelivery(hook)
    delivery.start()
    for seq in range(40):
        # The pipeline writes the next frame into the same memory, and cameras change their size.
        image = image if seq != 20 else np.zeros((8, 8, 3), np.uint8)
        image[:] = seq
        delivery(frame(seq, image))
    delivery.close(PATIENCE_S)
    assert hook.pixels == list(range(40))
    assert hook.threads == {"edgesdk-hook-on_result"}


@pytest.mark.parametrize(
    ("when_full", "seen"), [("drop_oldest", [0, 6, 7, 8, 9]), ("wait", list(range(10)))], ids=["drop_oldest", "wait"]
)
def test_a_slow_hook_loses_the_oldest_or_makes_the_pipeline_wait(
    when_full: WhenFull, seen: list[int], never: threading.Event
) -> None:
    began, go, put = threading.Event(), threading.Event(), threading.Semaphore(0)
    seqs: list[int] = []

    def slow(result: FrameResult) -> None:
        seqs.append(result.seq)
        began.set()
        assert go.wait(PATIENCE_S)

    delivery = ThreadDelivery(slow, queue=4, when_full=when_full, timeout_s=PATIENCE_S)
    delivery.start()
    delivery(frame(0))
    assert began.wait(PATIENCE_S)

    def lane() -> None:
        for seq in range(1, 10):
            delivery(frame(seq, np.full((2, 2, 3), seq, np.uint8)))
            put.release()

    thread = threading.Thread(target=lane)
    thread.start()
    for _ in range(4 if when_full == "wait" else 9):
        assert put.acquire(timeout=PATIENCE_S)
    if when_full == "wait":
        assert not put.acquire(timeout=0.05), "the pipeline did not wait"
    go.set()
    thread.join(PATIENCE_S)
    delivery.close(PATIENCE_S)
    assert seqs == seen
    assert delivery.counts() == DeliveryCounts(delivered=len(seen), dropped=10 - len(seen))


@pytest.mark.parametrize("when_full", ["wait", "drop_oldest"])
def test_a_hook_that_never_returns_is_told_once_and_holds_nothing(when_full: WhenFull, never: threading.Event) -> None:
    news: list[HookNews] = []
    delivery = ThreadDelivery(lambda _: never.wait(), queue=2, when_full=when_full, timeout_s=0.1, on_news=news.append)
    delivery.start()
    for seq in range(20):
        delivery(frame(seq))
    wait_until(lambda: (delivery(frame(99)), delivery.counts().hung)[1] == 1, "noticing that it hangs")
    delivery.close(PATIENCE_S)  # returns at once: a hook that is known to hang is not waited for
    counts = delivery.counts()
    assert [n.state for n in news] == ["hung"]
    assert (counts.delivered, counts.hung, counts.waiting) == (0, 1, 0)
    assert counts.dropped == counts.given - 1


def test_a_hook_that_hangs_only_at_the_end_does_not_hold_the_stop(never: threading.Event) -> None:
    delivery = ThreadDelivery(lambda _: never.wait(), timeout_s=60.0)
    delivery.start()
    for seq in range(3):
        delivery(frame(seq))
    delivery.close(0.05)
    assert delivery.counts() == DeliveryCounts(hung=1, dropped=2)


def test_a_hook_that_returns_after_all_goes_on(never: threading.Event) -> None:
    late, seqs = threading.Event(), []

    def hook(result: FrameResult) -> None:
        seqs.append(result.seq)
        if result.seq == 0:
            assert late.wait(PATIENCE_S)

    delivery = ThreadDelivery(hook, queue=1, timeout_s=0.05)
    delivery.start()
    wait_until(lambda: (delivery(frame(0)), delivery.counts().hung)[1] == 1, "noticing that it hangs")
    late.set()
    wait_until(lambda: delivery.counts().waiting == 0, "the hook's return")
    delivery(frame(1))
    delivery.close(PATIENCE_S)
    assert seqs[-1] == 1
    assert delivery.counts().waiting == 0


def test_a_state_is_told_when_it_changes_and_well_only_after_a_quiet_while() -> None:
    now, news = [0.0], []
    tally = Tally("h", news.append, lambda: now[0])
    for at, act in ((0, "bad"), (1, "good"), (2, "bad"), (11, "good"), (12, "good"), (20, "bad")):
        now[0] = at
        tally.given()
        if act == "bad":
            tally.failed("x")
        else:
            tally.delivered()
    assert [n.state for n in news] == ["failing", "well", "failing"]
    tally.trouble("given_up", "no more")
    tally.trouble("failing", "still")
    now[0] = 100
    tally.given()
    tally.delivered()
    assert [n.state for n in news][3:] == ["given_up"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="no policy 'later'"):
        ThreadDelivery(Hook(), when_full="later")  # type: ignore[arg-type]
    for queue in (0, 10_001, 10**12):
        with pytest.raises(InputError, match="able to wait"):
            ThreadDelivery(Hook(), queue=queue)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), 1e20, 3600.1])
@pytest.mark.parametrize("delivery", [ThreadDelivery, ProcessDelivery])
def test_a_time_that_is_none_is_refused(delivery: Callable[..., Delivery], timeout_s: float) -> None:
    with pytest.raises(InputError, match="cannot have"):
        delivery(note, timeout_s=timeout_s)
    delivery(note, timeout_s=3600).close(0)


class Awaited:
    async def __call__(self, result: FrameResult) -> None:
        """Nobody awaits it."""


def yields(result: FrameResult) -> Iterator[FrameResult]:
    yield result


NEVER_RUN: dict[str, Callable[..., object]] = {
    "async def": later,
    "with its first argument": functools.partial(later),
    "called by an async def": Awaited(),
    "a generator": yields,
}
GIVEN: dict[str, Callable[[Callable[..., object]], object]] = {
    "on_result": delivery_of,
    "on_frame": lambda hook: filter_of(hook, 5.0),
    "inline": lambda hook: hook_delivery(hook, HookSettings(isolate="inline")),
    "thread": lambda hook: hook_delivery(hook, HookSettings(isolate="thread")),
    "frame_filter": lambda hook: frame_filter(hook, StageSettings()),  # type: ignore[arg-type]
    "filtered_delivery": lambda hook: filtered_delivery(hook, note, StageSettings()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", NEVER_RUN)
@pytest.mark.parametrize("way", GIVEN)
def test_what_would_be_called_and_never_run_is_refused(way: str, kind: str) -> None:
    with pytest.raises(InputError, match=r"nobody here would await|runs nothing") as refused:
        GIVEN[way](NEVER_RUN[kind])
    assert "run_coroutine_threadsafe" in refused.value.hint
    # A plain one is not: the same function with a `def`.
    GIVEN[way](note)


def test_neither_by_its_name_nor_in_a_process() -> None:
    with pytest.raises(InputError, match=r"edgesdk_testkit\.hooks:later is an `async def`"):
        hook_delivery("edgesdk_testkit.hooks:later", HookSettings(isolate="thread"))
    delivery = hook_delivery(later, HookSettings(isolate="process"))
    with pytest.raises(InputError, match="nobody here would await"):
        delivery.start()
