"""Processor time of many small pieces of work: known well, and asked of the kernel seldom."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgesdk_agent.pipeline import stage_thread
from edgesdk_agent.pipeline.stage_thread import ProcessorTime


class Kernel:
    """A thread's clock that counts how often it is asked."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked = 0

    def thread_time(self) -> float:
        self.asked += 1
        return self.now_s


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    clock = Kernel()
    monkeypatch.setattr(stage_thread, "time", SimpleNamespace(thread_time=clock.thread_time))
    return clock


def work(kernel: Kernel, spent: ProcessorTime, pieces: int, each_s: float) -> None:
    for _ in range(pieces):
        began = spent.begin()
        kernel.now_s += each_s
        spent.end(began)


def test_small_pieces_are_timed_seldom_and_all_counted(kernel: Kernel) -> None:
    spent = ProcessorTime()
    work(kernel, spent, 10_001, 10e-6)
    assert spent.seconds == pytest.approx(0.1, rel=0.01)
    assert kernel.asked < 2 * 10_001 / 10


def test_large_pieces_are_each_timed(kernel: Kernel) -> None:
    # Negative control: where each counts, none is left to a guess.
    spent = ProcessorTime()
    work(kernel, spent, 100, 0.005)
    assert spent.seconds == pytest.approx(0.5)
    assert kernel.asked == 200


def test_a_piece_that_becomes_large_is_noticed_soon(kernel: Kernel) -> None:
    spent = ProcessorTime()
    work(kernel, spent, 1000, 10e-6)
    work(kernel, spent, 100, 0.005)
    assert spent.seconds == pytest.approx(0.51, rel=0.15)


def test_the_first_piece_is_known_at_once(kernel: Kernel) -> None:
    spent = ProcessorTime()
    work(kernel, spent, 1, 10e-6)
    assert spent.seconds == pytest.approx(10e-6)
