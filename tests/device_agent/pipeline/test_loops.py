"""Results in a `for` loop and in an `async for` loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import POLICIES, Policy
from edgesdk_targets.errors import CameraLost, InputError, SessionFailed
from edgesdk_testkit.pipelines import ScriptedCamera, assert_accounts, looped, no_threads_left
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


def test_a_loop_starts_the_pipeline_and_sees_every_frame() -> None:
    pipeline = looped(100, "every_frame", queue=1)
    assert [result.seq for result in pipeline] == list(range(100))
    assert pipeline.stats().results_dropped == 0
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_slow_loop_holds_up_a_file_and_gets_the_newest_of_a_camera(policy: Policy) -> None:
    script, seen, queue = Script(), [], 3
    pipeline = looped(200, policy, script=script, queue=queue)
    for result in pipeline:
        seen.append(result.seq)
        if len(seen) == 1:
            if policy == "freshest":
                wait_until(lambda: bool(script.inferred) and script.inferred[-1][1] == 199, "all frames to pass by")
                wait_until(lambda: pipeline.stats().processed == len(script.inferred), "the last result")
            else:
                wait_until(lambda: len(script.prepared) > queue + 1, "the pipeline to fill up")
                threading.Event().wait(0.02)
                # One is here, three in the queue, one or two with the lane, and the slots and pictures are full.
                assert len(script.inferred) <= 1 + queue + 2
    stats = pipeline.stats()
    assert_accounts(stats)
    assert len(seen) + stats.results_dropped == stats.processed
    if policy == "freshest":
        assert len(seen) <= 1 + queue + 1
        assert seen[-1] == 199
        assert stats.results_dropped > 0 or stats.processed <= len(seen)
    else:
        assert seen == list(range(200))


def test_leaving_a_loop_stops_what_it_started() -> None:
    pipeline = looped(None, "every_frame")
    for result in pipeline:
        if result.seq == 5:
            break
    wait_until(no_threads_left, "the end of every thread")
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("form", ["for", "async for"])
def test_an_error_after_a_loop_was_left_is_told_in_the_log(form: str, caplog: pytest.LogCaptureFixture) -> None:
    """As where the model is closed before an `async for` that was left ends behind it."""
    script = Script()
    script.fail_infer[6] = SessionFailed("The model is closed.")
    pipeline, unhandled = looped(None, "every_frame", script=script, queue=1), list[object]()

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        async for result in pipeline:
            if result.seq == 5:
                # Nothing is lost of what was delivered before the error.
                await asyncio.to_thread(wait_until, lambda: pipeline._failures._first is not None, "the error")
                break

    if form == "for":
        for result in pipeline:
            if result.seq == 5:
                wait_until(lambda: pipeline._failures._first is not None, "the error")
                break
    else:
        run(main)
    wait_until(no_threads_left, "the end of every thread")
    assert "while stopping: The model is closed." in caplog.text
    assert unhandled == []
    assert_accounts(pipeline.stats())


def test_a_loop_over_a_started_pipeline_leaves_it_running() -> None:
    with looped(None, "every_frame") as pipeline:
        for wanted in (3, 7):
            for result in pipeline:
                if result.seq == wanted:
                    break
        assert not pipeline.wait(0)
        stopped = pipeline.stop(PATIENCE_S)
        rest = [result.seq for result in pipeline]
    # What was in flight at the stop can still be taken.
    assert rest == list(range(8, stopped.processed))


def test_an_error_comes_after_the_results_before_it() -> None:
    camera, seen = ScriptedCamera(None), []
    script = Script()

    def all_are_done() -> None:
        wait_until(lambda: len(script.inferred) == 5, "the frames before")

    camera.at = {5: all_are_done, 6: CameraLost("gone")}
    results = iter(Pipeline(script.slots(2), camera, policy="every_frame", queue=10))
    with pytest.raises(CameraLost, match="gone"):
        seen.extend(result.seq for result in results)
    assert seen[:5] == list(range(5))


def test_a_pipeline_with_a_callback_is_no_loop_and_runs_once() -> None:
    pipeline = Pipeline(Script().slots(2), ScriptedCamera(3), on_result=print)
    with pytest.raises(InputError, match="go to `on_result`"):
        iter(pipeline)
    with pytest.raises(InputError, match="go to `on_result`"):
        pipeline.aiter()
    pipeline.stop()
    twice = looped(3, "every_frame")
    assert len(list(twice)) == 3
    with pytest.raises(InputError, match="runs once"):
        twice.start()
    with pytest.raises(InputError, match="able to wait"):
        looped(3, "every_frame", queue=0)


def test_pictures_in_a_loop_are_the_loops_own() -> None:
    pipeline = Pipeline(Script().slots(2), ScriptedCamera(40), policy="every_frame", keep_image=True)
    pictures = [result.image for result in pipeline]
    stamps = [int.from_bytes(bytes(image[0, :4, 0].tolist()), "big") for image in pictures if image is not None]
    assert stamps == list(range(40))


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(main(), PATIENCE_S)

    asyncio.run(limited(), debug=True)


def test_an_async_loop_sees_every_frame_and_other_tasks_go_on() -> None:
    async def main() -> None:
        seen, ticks = [], 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        other = asyncio.create_task(tick())
        seen = [result.seq async for result in looped(100, "every_frame", script=Script(infer_s=0.002)).aiter()]
        assert seen == list(range(100))
        assert ticks > 20, "the loop was held up"
        other.cancel()

    run(main)


def test_an_async_with_block_starts_and_stops() -> None:
    async def main() -> None:
        async with looped(None, "freshest") as pipeline:
            async with contextlib.aclosing(pipeline.aiter()) as results:  # type: ignore[type-var]
                async for result in results:
                    if result.seq > 5:
                        break
            assert not pipeline.wait(0)
        assert_accounts(pipeline.stats())

    run(main)


def test_cancelling_the_task_stops_what_its_loop_started() -> None:
    async def main() -> None:
        script, seen = Script(gated=True), asyncio.Event()
        assert script.gate is not None
        pipeline = looped(None, "every_frame", script=script)

        async def take() -> None:
            async for _ in pipeline.aiter():
                seen.set()

        task = asyncio.create_task(take())
        script.gate.release(1)
        await seen.wait()
        # Now it waits for a second result, which comes only when the pipeline is told to end.
        task.cancel()
        script.gate.release(100)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_accounts(pipeline.stats())

    run(main)


def test_an_async_loop_is_told_the_error() -> None:
    async def main() -> None:
        camera = ScriptedCamera(None)
        camera.at = {3: CameraLost("gone")}
        with pytest.raises(CameraLost, match="gone"):
            async for _ in Pipeline(Script().slots(2), camera, policy="every_frame").aiter():
                pass

    run(main)


def test_a_loop_that_was_closed_does_not_hurt_the_pipeline() -> None:
    pipeline = looped(None, "freshest").start()

    async def one() -> FrameResult:
        async for result in pipeline.aiter():
            return result
        raise AssertionError("no result came")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(one())
    loop.close()
    before = pipeline.stats().processed
    wait_until(lambda: pipeline.stats().processed > before + 10, "the pipeline to go on")
    assert_accounts(pipeline.stop(PATIENCE_S))


@pytest.mark.parametrize("policy", POLICIES)
def test_waiting_for_results_that_nobody_takes_is_refused_and_leaving_ends(policy: Policy) -> None:
    script = Script()
    pipeline = looped(None, policy, script=script)
    with pipeline:
        wait_until(lambda: len(script.inferred) > 4, "the queue to fill up")
        with pytest.raises(InputError, match="Nobody takes the results"):
            pipeline.wait()
    assert pipeline.wait()
    assert_accounts(pipeline.stats())


def test_a_second_loop_after_the_end_is_refused() -> None:
    pipeline = looped(3, "every_frame")
    assert len(list(pipeline)) == 3
    with pytest.raises(InputError, match="took all results"):
        iter(pipeline)
    with pytest.raises(InputError, match="took all results"):
        pipeline.aiter()


def test_a_pipeline_is_an_async_iterable() -> None:
    async def main() -> None:
        async with looped(5, "every_frame") as pipeline:
            assert [result.seq async for result in pipeline] == list(range(5))
        with pytest.raises(InputError, match="took all results"):
            pipeline.aiter()

    run(main)


def test_one_loop_at_a_time_takes_the_results_and_is_not_disturbed_by_another() -> None:
    async def main() -> None:
        async with looped(40, "every_frame") as pipeline:
            first = pipeline.aiter()
            seen = [(await anext(first)).seq]
            with pytest.raises(InputError, match="already"):
                await anext(pipeline.aiter())
            with pytest.raises(InputError, match="already"):
                next(iter(pipeline))
            seen += [result.seq async for result in first]
            assert seen == list(range(40))

    run(main)
