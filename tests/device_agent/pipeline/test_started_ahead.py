"""A lane starts the next inference before it waits for the last, where the model computes on threads of its own."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.synthetic import read_stamp
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.policy import lanes_prepare, lanes_wanted, slots_wanted
from edgesdk_agent.pipeline.stage_thread import StageThread
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.errors import EdgeError, InputError, SessionFailed
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Ahead, AheadSlot, Script, wait_until

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


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5])
def test_any_number_of_lanes_is_used_and_no_more(lanes: int, model: Ahead) -> None:
    sink = Sink()
    with make(ScriptedCamera(None), model, sink, "every_frame", lanes=lanes) as pipeline:
        # Whether the last one is under way just then depends on who is quicker.
        wait_until(lambda: model.most_under_way >= max(1, lanes - 1), "as many under way as are wanted")
        wait_until(lambda: len(model.inferred) > 50, "results")
        stats = pipeline.stop(PATIENCE_S)
    assert model.most_under_way <= lanes
    assert sink.seqs == list(range(stats.captured))


@pytest.mark.parametrize(
    "more", [{"keep_image": True}, {"on_frame": lambda frame: frame.image}], ids=["kept", "on_frame"]
)
def test_pictures_may_be_kept_and_filtered(more: dict[str, Any], model: Ahead) -> None:
    seen: list[tuple[int, int | None]] = []

    def look(result: FrameResult) -> None:
        seen.append((result.seq, None if result.image is None else read_stamp(result.image)))

    with make(ScriptedCamera(100), model, look, "every_frame", lanes=LANES, **more) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    kept = "keep_image" in more
    assert seen == [(seq, seq if kept else None) for seq in range(100)]
    assert [stamp for *_, stamp in sorted(model.inferred, key=lambda one: one[1])] == list(range(100))


def test_what_is_under_way_when_all_is_dropped_is_waited_for_and_counted(model: Ahead) -> None:
    model.infer_s = 0.05
    sink = Sink()
    pipeline = make(ScriptedCamera(None), model, sink, "every_frame", lanes=LANES).start()
    wait_until(lambda: model.under_way >= 3, "some under way")
    stats = pipeline.stop(0.0)
    assert model.under_way == 0
    assert_accounts(stats)
    assert stats.dropped["stopped"] > 0
    assert sink.seqs == list(range(stats.processed))


def test_the_time_of_an_inference_is_the_models_and_not_that_of_what_its_lane_does_meanwhile(model: Ahead) -> None:
    model.infer_s = 0.002
    results: list[FrameResult] = []
    timeline = Timeline()

    def slow(result: FrameResult) -> None:
        results.append(result)
        time.sleep(0.05)

    with make(ScriptedCamera(30), model, slow, "every_frame", lanes=LANES, profile=timeline) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert statistics.median(result.infer_s for result in results) < 0.025
    spans = [span for span in timeline.spans() if span.stage == "infer"]
    assert {span.thread for span in spans} == {"edgesdk-infer-1-model", "edgesdk-infer-2-model"}
    assert statistics.median(span.end_s - span.start_s for span in spans) < 0.025
    for row in ("edgesdk-infer-1", "edgesdk-infer-2", "edgesdk-infer-1-model", "edgesdk-infer-2-model"):
        on_row = [span for span in timeline.spans() if span.thread == row]
        assert all(one.end_s <= next_one.start_s for one, next_one in itertools.pairwise(on_row)), (
            f"{row} did two things at once"
        )


def test_a_model_is_not_swapped_by_a_callback_which_would_wait_for_itself(model: Ahead) -> None:
    refused: list[InputError] = []

    def swaps(_result: FrameResult) -> None:
        with pytest.raises(InputError, match="wait for itself") as raised:
            pipeline.swap_slots(model.slots(SLOTS), PATIENCE_S, lanes=LANES)
        refused.append(raised.value)

    pipeline = make(ScriptedCamera(3), model, swaps, "every_frame", lanes=LANES)
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert len(refused) == 3
    assert pipeline.stats().callback_errors == 0


@pytest.mark.parametrize("can_start", [True, False], ids=["", "no thread"])
def test_a_stage_that_hangs_with_one_result_holds_none_of_those_under_way(
    can_start: bool, model: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, held_s, told = threading.Event(), Sink(), list[BaseException]()
    at_hang: list[int] = []
    started = StageThread.start

    def start(thread: StageThread) -> None:
        if at_hang and not can_start:
            raise RuntimeError("can't start new thread")
        started(thread)

    monkeypatch.setattr(StageThread, "start", start)

    def stage(result: FrameResult) -> FrameResult:
        if result.camera == "door" and not at_hang and result.seq > 5 and model.under_way >= 2:
            at_hang.append(result.seq)
            back.wait(2 * PATIENCE_S)
        return result

    held = FilteredDelivery(stage, InlineDelivery(held_s), name="my.stage", timeout_s=0.5)
    cameras = {"door": ScriptedCamera(400), "gate": ScriptedCamera(400)}
    with make(cameras, model, held, "every_frame", lanes=LANES, on_error=told.append) as pipeline:
        assert pipeline.wait(PATIENCE_S), "the pipeline goes on although one call never returns"
        assert not back.is_set()
        assert at_hang, "at one frame two more were under way"
        wait_until(lambda: model.under_way == 0, "the end of what was under way")
        back.set()
    assert_accounts(pipeline.stats())
    assert bool(told) is not can_start
    if can_start:
        assert held_s.of("gate") == list(range(400))
    assert held_s.of("door")[: at_hang[0]] == list(range(at_hang[0]))
    assert max(result.infer_s for result in held_s.results) < 0.5, "the hang is not the model's time"


def test_where_no_thread_can_go_on_that_is_told_though_the_runtime_does_not_return(
    model: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an accelerator hangs, and the user's code with it."""
    back, hangs, asked = threading.Event(), threading.Event(), threading.Event()
    told, started = list[EdgeError](), list[AheadSlot]()
    start_thread, start, infer = StageThread.start, AheadSlot.start, AheadSlot.infer

    def refuse(thread: StageThread) -> None:
        if hangs.is_set():
            raise RuntimeError("can't start new thread")
        start_thread(thread)

    def begin(slot: AheadSlot) -> None:
        started.append(slot)
        start(slot)

    def wait_for(slot: AheadSlot, camera: str, seq: int) -> Any:
        if hangs.is_set():
            asked.set()
            back.wait(2 * PATIENCE_S)
        elif slot in started:
            started.remove(slot)
        return infer(slot, camera, seq)

    def stage(result: FrameResult) -> FrameResult:
        if started:
            hangs.set()
            back.wait(2 * PATIENCE_S)
        return result

    monkeypatch.setattr(StageThread, "start", refuse)
    monkeypatch.setattr(AheadSlot, "start", begin)
    monkeypatch.setattr(AheadSlot, "infer", wait_for)
    held = FilteredDelivery(stage, InlineDelivery(Sink()), name="my.stage", timeout_s=0.2)
    # Of two lanes that start ahead one thread has both.
    pipeline = make(ScriptedCamera(None), model, held, "every_frame", lanes=2, on_error=told.append).start()
    try:
        assert pipeline.wait(PATIENCE_S), "the end comes"
        assert [error.message for error in told] == ["The pipeline stopped: RuntimeError: can't start new thread"]
        assert_accounts(pipeline.stop(PATIENCE_S))
        assert asked.wait(PATIENCE_S), "what is under way is still waited for"
    finally:
        back.set()
    wait_until(lambda: pipeline._handover._model.idle, "the slots")


@pytest.mark.parametrize(
    ("size", "live", "most"), [((320, 240), False, 8), ((1280, 720), False, 2), ((320, 240), True, 2)], ids=str
)
def test_more_of_a_film_is_read_ahead_where_it_is_soon_done(size: tuple[int, int], live: bool, most: int) -> None:
    camera = ScriptedCamera(None, live=live)
    camera.info = CameraInfo(*size, None, live, "scripted")
    line = CameraLine("door", camera, "every_frame", 6, Meters(["door"], time.monotonic)["door"], threading.Lock())

    def ahead() -> int:
        while line.may_capture():
            line.pictures.append(line.free.pop())
        count = len(line.pictures)
        while line.pictures:
            line.give_back(line.pictures.pop())
        return count

    assert ahead() == 2
    for at in range(100):
        line.rhythm.delivered(at * 0.002)
    assert ahead() == most
    for at in range(100):
        line.rhythm.delivered(1 + at * 0.2)
    assert ahead() == 2, "not of one that is slow, whichever part of it is"
