"""The pipeline's condition: who waits is woken, in order, once; nobody's waking is lost to one whose time was over."""

from __future__ import annotations

import random
import threading
import time

from edgesdk_agent.pipeline.bell import Bell


def test_threads_are_woken_one_by_one_in_the_order_of_their_coming() -> None:
    lock, woken = threading.Lock(), list[int]()
    bell, came = Bell(lock), threading.Semaphore(0)

    def sleep(number: int) -> None:
        with lock:
            came.release()
            bell.wait()
            woken.append(number)
            came.release()

    threads = [threading.Thread(target=sleep, args=(number,), daemon=True) for number in range(5)]
    for thread in threads:
        thread.start()
        came.acquire()
        with lock:
            pass  # it gave the lock up, so it sleeps
    for number in range(3):
        with lock:
            bell.wake_one()
        came.acquire()
        assert woken == list(range(number + 1))
    with lock:
        bell.wake_all()
    for thread in threads:
        thread.join(10)
    assert sorted(woken) == list(range(5))


def test_a_ring_that_nobody_waits_for_is_forgotten_and_a_wait_ends_with_its_time() -> None:
    lock = threading.Lock()
    bell = Bell(lock)
    with lock:
        bell.wake_one()
        began = time.monotonic()
        bell.wait(0.02)
        assert time.monotonic() - began >= 0.02
        assert lock.locked()
        # A sleeper that is used again sleeps again.
        bell.wait(0.0)
        began = time.monotonic()
        bell.wait(0.02)
        assert time.monotonic() - began >= 0.02


def test_no_piece_of_work_is_forgotten_where_times_run_out_at_the_moment_of_the_ring() -> None:
    lock, pieces = threading.Lock(), 3000
    bell, waiting, taken = Bell(lock), list[int](), list[int]()
    over = False

    def take(dice: random.Random) -> None:
        while True:
            with lock:
                while not waiting:
                    if over:
                        return
                    # Some ask for so little time that it runs out while they are woken; others wait for the ring alone.
                    bell.wait(dice.choice((0.0, 1e-5, 1e-4, None)))
                taken.append(waiting.pop())

    threads = [threading.Thread(target=take, args=(random.Random(seed),), daemon=True) for seed in range(3)]
    for thread in threads:
        thread.start()
    for number in range(pieces):
        with lock:
            waiting.append(number)
            bell.wake_one()
    # Nobody rings any more: what was rung for is enough.
    deadline = time.monotonic() + 30
    while len(taken) < pieces and time.monotonic() < deadline:
        time.sleep(0.001)
    found = len(taken)
    with lock:
        over = True
        bell.wake_all()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert found == pieces
    assert sorted(taken) == list(range(pieces))
