"""A lane starts the next inference before it waits for the last, where the model computes on threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.frame_rhythm import FrameRhythm
from edgesdk_agent.pipeline.policy import lanes_prepare, lanes_wanted, slots_wanted
from edgesdk_targets.errors import SessionFailed
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Ahead, Script, wait_until

# Two streams: two inferences run, and two wait in the model's queue.
LANES = lanes_wanted(("every_frame",), 2, starts_ahead=True)
SLOTS = slots_wanted(("every_frame",), LANES)


@pytest.fixture
def model() -> Iterator[Ahead]:
    script = Ahead(infer_s=0.001)
    yield script
    script.threads.shutdown()


def lanes_of(script: Ahead) -> set[str]:
    return {name for name in script.waited_by if name.startswith("edgesdk-infer")}


def test_two_inferences_for_each_that_runs_are_under_way_on_one_thread_for_each(model: Ahead) -> None:
    assert LANES == 4
    assert lanes_prepare(0, LANES, on_caller=False, ahead=True)
    sink = Sink()
    with make(ScriptedCamera(None), model, sink, "every_frame", lanes=LANES) as pipeline:
        wait_until(lambda: model.most_under_way >= 3, "more under way than run")
        stats = pipeline.stop(PATIENCE_S)
    assert model.most_under_way <= LANES
    assert len(lanes_of(model)) <= 2
    assert sink.seqs == list(range(stats.captured))
    assert_accounts(stats)


def test_of_a_live_camera_nothing_waits_in_the_model(model: Ahead) -> None:
    """It would grow old there. The control is the test above."""
    assert lanes_wanted(("freshest",), 2, starts_ahead=True) == 2
    sink = Sink()
    with make(ScriptedCamera(None, live=True), model, sink, "freshest", lanes=2):
        wait_until(lambda: len(sink.results) > 100, "results")
    assert model.most_under_way <= 2


def test_frames_that_come_singly_are_inferred_on_all_streams(model: Ahead) -> None:
    """A thread that waits for one inference leaves the next frame to another thread."""
    model.infer_s = 0.05
    sink = Sink()
    with make(PacedCamera(ScriptedCamera(30), 30), model, sink, "every_frame", lanes=LANES) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert model.most_at_once == 2
    assert sink.seqs == list(range(30))
    assert len(lanes_of(model)) == 2


@pytest.mark.parametrize("at", ["start", "end"])
def test_what_is_under_way_when_an_inference_fails_is_waited_for_and_counted(at: str, model: Ahead) -> None:
    told: list[BaseException] = []
    fails = model.fail_start if at == "start" else model.fail_infer
    fails[10] = RuntimeError("the model is broken")
    sink = Sink()
    with make(ScriptedCamera(None), model, sink, "every_frame", lanes=LANES, on_error=told.append) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert model.at_once == 0
    assert "the model is broken" in str(told[0])
    assert isinstance(told[0], SessionFailed)
    assert sink.seqs[:10] == list(range(10))
    assert 10 not in sink.seqs
    assert_accounts(pipeline.stats())
    assert pipeline.stats().dropped["failed"] == 1


def test_models_of_either_kind_follow_each_other_and_lose_nothing(model: Ahead) -> None:
    plain, again, sink = Script(infer_s=0.001), Ahead(infer_s=0.001), Sink()
    with make(ScriptedCamera(None), model, sink, "every_frame", lanes=LANES) as pipeline:
        wait_until(lambda: len(model.inferred) > 20, "results of the first model")
        pipeline.swap_slots(plain.slots(slots_wanted(("every_frame",), 3)), PATIENCE_S, lanes=3)
        done = len(model.inferred)
        wait_until(lambda: len(plain.inferred) > 20, "results of the second")
        assert len(model.inferred) == done, "the first model worked after the swap had returned"
        pipeline.swap_slots(again.slots(SLOTS), PATIENCE_S, lanes=LANES)
        wait_until(lambda: len(again.inferred) > 20, "results of the third")
        stats = pipeline.stop(PATIENCE_S)
    again.threads.shutdown()
    assert sink.seqs == list(range(stats.captured))


def test_a_stage_that_hangs_with_one_result_holds_none_of_those_under_way(model: Ahead) -> None:
    back, sink = threading.Event(), Sink()

    def stage(result: FrameResult) -> FrameResult:
        if (result.camera, result.seq) == ("door", 20):
            back.wait(2 * PATIENCE_S)
        return result

    held = FilteredDelivery(stage, InlineDelivery(sink), name="my.stage", timeout_s=0.5)
    cameras = {"door": ScriptedCamera(60), "gate": ScriptedCamera(60)}
    with make(cameras, model, held, "every_frame", lanes=LANES) as pipeline:
        assert pipeline.wait(PATIENCE_S), "the pipeline goes on although one call never returns"
        assert not back.is_set()
        assert sink.of("gate") == list(range(60))
        assert_accounts(pipeline.stats())
        back.set()
    assert sink.of("door")[:20] == list(range(20))


def test_more_of_a_film_is_read_ahead_of_a_model_that_soon_takes_it() -> None:
    rhythm = FrameRhythm()
    assert rhythm.soon == 0
    for _ in range(20):
        rhythm.inferred(0.0005, 0.002)
    assert rhythm.soon == 8
    for _ in range(100):
        rhythm.inferred(0.0005, 0.2)
    assert rhythm.soon == 0
