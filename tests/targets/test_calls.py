from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk_targets.calls import Calls, is_batch
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_targets.tensor import Array

WAIT_S = 20


class Slot:
    """A slot that answers with the first pixel, camera and number, and notes a second user while it has one."""

    def __init__(self, model: Counted) -> None:
        self.model = model
        self.value = -1
        self.used = threading.Lock()

    def prepare(self, image: Array) -> None:
        if not self.used.acquire(blocking=False):
            self.model.shared = True
        if image[0, 0, 0] == 255:
            self.used.release()
            raise InputError("no picture")
        self.value = int(image[0, 0, 0])

    def infer(self, camera: str, seq: int) -> tuple[int, str, int]:
        self.model.enter()
        answer = (self.value, camera, seq)
        self.used.release()
        return answer


class Counted:
    """A model that knows how many infer at the same time, and can hold them."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.shared = False
        self.inside = self.most = self.made = 0
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()
        self.full = threading.Semaphore(0)

    def slots(self, count: int) -> list[Slot]:
        self.made += count
        return [Slot(self) for _ in range(count)]

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.full.release()
        assert self.gate.wait(WAIT_S)
        with self.lock:
            self.inside -= 1


def picture(value: int) -> Array:
    return np.full((2, 2, 3), value, np.uint8)


def values(answers: list[tuple[int, str, int]]) -> list[int]:
    return [answer[0] for answer in answers]


@contextmanager
def running(*works: Any) -> Iterator[None]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_batch_is_answered_in_its_order(lanes: int) -> None:
    model = Counted(lanes)
    calls = Calls(model)
    assert values(calls.each([picture(i) for i in range(40)], "a")) == list(range(40))
    assert model.made == lanes
    assert not model.shared
    calls.close()


def test_a_batch_uses_all_lanes() -> None:
    model = Counted(3)
    calls = Calls(model)
    model.gate.clear()
    with running(lambda: calls.each([picture(i) for i in range(9)], "a")):
        for _ in range(3):
            assert model.full.acquire(timeout=WAIT_S)
        model.gate.set()
    assert model.most == 3
    calls.close()


@pytest.mark.parametrize("lanes", [1, 2])
def test_many_threads_never_share_a_slot(lanes: int) -> None:
    model = Counted(lanes)
    calls = Calls(model)
    wrong: list[int] = []

    def ask(start: int) -> None:
        wrong.extend(i for i in range(start, start + 60) if calls.one(picture(i % 200), "a")[0] != i % 200)

    with running(*(lambda start=start: ask(start) for start in (0, 60, 120, 180))):
        pass
    assert (wrong, model.shared) == ([], False)
    assert model.most <= lanes


def test_frames_of_a_camera_are_numbered_in_the_order_of_inference() -> None:
    """What recurrent models depend on: one lane, several callers."""
    model = Counted(1)
    calls = Calls(model)
    seen: list[int] = []

    def ask() -> None:
        for _ in range(50):
            calls.one(picture(0), "a")

    infer = Slot.infer
    try:
        Slot.infer = lambda self, camera, seq: (seen.append(seq), infer(self, camera, seq))[1]  # type: ignore[method-assign, func-returns-value]
        with running(ask, ask, ask):
            pass
    finally:
        Slot.infer = infer  # type: ignore[method-assign]
    assert seen == list(range(150))
    assert calls.one(picture(0), "b")[1:] == ("b", 0)


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_picture_that_cannot_be_used_costs_no_slot(lanes: int) -> None:
    calls = Calls(Counted(lanes))
    for _ in range(5):
        with pytest.raises(InputError):
            calls.each([picture(1), picture(255), picture(2)], "a")
    assert values(calls.each([picture(3), picture(4)], "a")) == [3, 4]
    calls.close()


def test_a_picture_that_is_refused_leaves_no_gap() -> None:
    """To a recurrent model a gap means that its state begins anew."""
    calls = Calls(Counted(1))
    numbers = [calls.one(picture(1), "a")[2]]
    with pytest.raises(InputError):
        calls.one(picture(255), "a")
    assert [*numbers, calls.one(picture(1), "a")[2]] == [0, 1]


def test_closing_waits_for_who_is_running_and_refuses_who_waits() -> None:
    model = Counted(1)
    calls = Calls(model)
    model.gate.clear()
    answers: list[Any] = []
    closed = threading.Event()

    def ask() -> None:
        try:
            answers.append(calls.one(picture(7), "a"))
        except SessionFailed as error:
            answers.append(error.message)

    def close() -> None:
        calls.close()
        closed.set()

    with running(ask):
        assert model.full.acquire(timeout=WAIT_S)
        with running(ask, close):
            # The second caller is refused while the first still runs.
            while not answers:
                threading.Event().wait(0.001)
            assert answers == ["The model is closed."]
            assert not closed.is_set()
            model.gate.set()
    assert answers[1][0] == 7
    with pytest.raises(SessionFailed, match="closed"):
        calls.one(picture(0), "a")


@pytest.mark.parametrize(
    ("given", "batch"),
    [
        ([], True),
        ((picture(0),), True),
        (np.zeros((2, 4, 4, 3), np.uint8), True),
        (picture(0), False),
        ("a.png", False),
        (Path("a.png"), False),
        (None, False),
    ],
)
def test_what_is_a_batch(given: object, batch: bool) -> None:
    assert is_batch(given) is batch
