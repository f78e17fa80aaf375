"""Whoever a pipeline waits for: what swaps or waits in a loop or a callback, and may not where it would wait for itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.result_queue import ResultQueue
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Regression
from edgesdk_testkit.pipelines import ScriptedCamera, assert_accounts, looped
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


@pytest.mark.parametrize("form", ["for", "async for"])
def test_the_body_of_a_loop_may_swap_though_everything_waits_for_it(form: str) -> None:
    # Slow enough for a thread beside the lane to prepare.
    old, new, seen = Script(infer_s=0.002), Script(), list[int]()
    pipeline = looped(80, "every_frame", script=old, queue=1)

    def swap() -> None:
        # Six are taken, one is in the queue, the lane waits for room with another, and both slots are prepared.
        wait_until(lambda: len(old.prepared) == 10, "the pipeline to fill up")
        pipeline.swap_slots(new.slots(2), PATIENCE_S)

    async def main() -> None:
        async for result in pipeline:
            seen.append(result.seq)
            if result.seq == 5:
                await asyncio.to_thread(swap)

    if form == "for":
        for result in pipeline:
            seen.append(result.seq)
            if result.seq == 5:
                swap()
    else:
        asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert seen == [seq for _, seq, _ in (*old.inferred, *new.inferred)] == list(range(80))
    assert 5 < len(old.inferred) < 80
    assert pipeline.stats().results_dropped == 0


def test_room_is_bounded_again_after_a_swap() -> None:
    results, given = ResultQueue(1, {"camera": "every_frame"}), list[int]()

    def give() -> None:
        for number in range(5):
            results(FrameResult("camera", number, 0.0, 0.0, 0.0, 0.0, 0.0, Regression(np.zeros(1, np.float32))))
            given.append(number)

    with results.while_swapping():
        thread = threading.Thread(target=give)
        thread.start()
        thread.join(PATIENCE_S)
        assert given == list(range(5)), "nothing waited for room"
    thread = threading.Thread(target=give)
    thread.start()
    wait_until(lambda: bool(results._changed._waiters) or len(given) > 5, "it to wait for room")  # type: ignore[attr-defined]
    assert given == list(range(5)), "it waits for room"
    results.hurry()
    thread.join(PATIENCE_S)
    assert len(given) == 10


def refused_wait(pipeline: Pipeline) -> None:
    assert not pipeline.wait(0)
    with pytest.raises(InputError, match="wait for itself") as refused:
        pipeline.wait()
    assert "request_stop" in refused.value.hint


@pytest.mark.parametrize("where", ["on a lane", "on a thread"])
def test_a_callback_that_waits_for_the_end_without_a_limit_is_refused(where: str) -> None:
    refused: list[int] = []

    def hook(result: FrameResult) -> None:
        refused_wait(pipeline)
        refused.append(result.seq)

    on_result: Callable[[FrameResult], object] = hook if where == "on a lane" else ThreadDelivery(hook)
    pipeline = Pipeline(Script().slots(2), ScriptedCamera(3), on_result=on_result, policy="every_frame")
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert refused == [0, 1, 2]
    assert pipeline.stats().callback_errors == 0


def test_a_loop_over_a_film_does_not_wait_for_its_own_end() -> None:
    pipeline, seen = looped(30, "every_frame", queue=1), []
    for result in pipeline:
        if result.seq < 10:
            refused_wait(pipeline)
        seen.append(result.seq)
    assert seen == list(range(30))
    assert pipeline.wait()


def test_a_loop_over_a_live_camera_may_wait_for_its_end() -> None:
    """The camera waits for nobody: what the loop does not take is dropped."""
    with looped(30, "freshest") as pipeline:
        for _ in pipeline:
            assert pipeline.wait()
            break
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("form", ["for", "async for"])
def test_a_loop_that_asked_for_the_stop_may_wait_for_the_end(form: str) -> None:
    pipeline, seen = looped(None, "every_frame", queue=1), list[int]()

    def found(result: FrameResult) -> bool:
        seen.append(result.seq)
        if result.seq < 5:
            return False
        refused_wait(pipeline)
        pipeline.request_stop()
        assert pipeline.wait()
        return True

    async def main() -> None:
        async for result in pipeline:
            if found(result):
                break

    if form == "for":
        for result in pipeline:
            if found(result):
                break
    else:
        asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    assert seen == list(range(6))


def test_a_loop_that_threads_drive_by_turns_is_whose_turn_it_is() -> None:
    """As a web server does that sends a generator's results from a pool."""
    with (
        ThreadPoolExecutor(1) as first,
        ThreadPoolExecutor(1) as other,
        # Ends before the pools do, also where somebody waits for its end.
        looped(None, "every_frame", queue=1) as pipeline,
    ):
        results = iter(pipeline)
        for turn in (first, other, first):
            turn.submit(next, results).result(PATIENCE_S)
            turn.submit(refused_wait, pipeline).result(PATIENCE_S)
        waits = other.submit(pipeline.wait)
        wait_until(lambda: bool(pipeline._crew.over._cond._waiters) or waits.done(), "the wait")  # type: ignore[attr-defined]
        pipeline.stop(PATIENCE_S)
        assert waits.result(PATIENCE_S), "who is not the loop any more may wait"
        other.submit(results.close).result(PATIENCE_S)


def test_a_hook_on_a_thread_of_its_own_may_swap() -> None:
    """The pipeline does not wait for it."""
    old, new = Script(), Script()

    def hook(result: FrameResult) -> None:
        if not result.seq:
            pipeline.swap_slots(new.slots(2), PATIENCE_S)

    delivery = ThreadDelivery(hook, when_full="drop_oldest", timeout_s=PATIENCE_S)
    pipeline = Pipeline(old.slots(2), ScriptedCamera(None), on_result=delivery, policy="every_frame")
    with pipeline:
        wait_until(lambda: bool(new.inferred) or delivery.counts().failed > 0, "the swap")
    assert pipeline.stats().callback_errors == 0
    assert new.inferred
