"""Around a model that is quicker than a hand-over, the lane that infers a frame prepares it too; nothing else changes."""

from __future__ import annotations

import threading
import time

import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.frame import Frame
from edgesdk_agent.meter import Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.frame_rhythm import FrameRhythm
from edgesdk_agent.pipeline.policy import POLICIES, Policy, slots_wanted
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, accounted, make
from edgesdk_testkit.slots import PATIENCE_S, Prepared, wait_until

pytestmark = pytest.mark.alone
FRAMES = 400


@pytest.fixture(autouse=True)
def _every_machine_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as quick is a matter of the machine; here it is whatever is quicker than ten milliseconds."""
    monkeypatch.setattr("edgesdk_agent.pipeline.frame_rhythm._QUICK_S", 0.01)
    monkeypatch.setattr("edgesdk_agent.pipeline.frame_rhythm._NO_LONGER_QUICK_S", 0.02)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("policy", POLICIES)
def test_lanes_prepare_for_a_quick_model_and_the_results_are_the_same(policy: Policy, lanes: int) -> None:
    script, sink = Prepared(), Sink()
    with make(PacedCamera(ScriptedCamera(FRAMES), 1000), script, sink, policy, lanes=lanes) as pipeline:
        assert pipeline.wait(PATIENCE_S)
        stats = accounted(pipeline, sink)
    assert script.by["infer"] > 20, script.by
    assert sink.seqs == sorted(set(sink.seqs))
    if policy == "every_frame":
        assert sink.seqs == list(range(FRAMES))
    assert set(stats.dropped) <= {"replaced_before_preprocess", "replaced_before_inference"}
    assert stats.cpu_s["preprocess"] > 0
    assert stats.cpu_s["infer"] >= 0


def test_a_model_that_takes_its_time_has_a_thread_that_prepares_beside_it() -> None:
    # Negative control.
    script, sink = Prepared(infer_s=0.03), Sink()
    with make(ScriptedCamera(20), script, sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert script.by == {"preprocess": 20}


def test_a_model_that_becomes_slow_gets_the_thread_back() -> None:
    script, sink = Prepared(), Sink()
    with make(ScriptedCamera(None), script, sink, "every_frame") as pipeline:
        wait_until(lambda: script.by["infer"] > 20, "a lane to prepare")
        script.infer_s = 0.04
        before = script.by["preprocess"]
        wait_until(lambda: script.by["preprocess"] > before + 5, "the thread to prepare again")
        pipeline.stop(PATIENCE_S)
        accounted(pipeline, sink)
    assert sink.seqs == list(range(len(sink.seqs)))


def test_several_cameras_take_turns_all_the_same() -> None:
    script, sink = Prepared(), Sink()
    cameras = {name: ScriptedCamera(FRAMES) for name in ("a", "b", "c")}
    with make(cameras, script, sink, "every_frame", lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
        accounted(pipeline, sink)
    assert script.by["infer"] > 20
    assert [sink.of(name) for name in cameras] == [list(range(FRAMES))] * 3


def test_who_filters_frames_keeps_a_thread_of_his_own() -> None:
    seen_by: set[str] = set()

    def on_frame(frame: Frame) -> Array:
        seen_by.add(threading.current_thread().name)
        return frame.image

    script, sink = Prepared(), Sink()
    with make(ScriptedCamera(FRAMES), script, sink, "every_frame", on_frame=on_frame) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert seen_by == {"edgesdk-preprocess"}
    assert script.by == {"preprocess": FRAMES}


def test_a_picture_that_no_model_can_take_ends_its_camera_from_a_lane_too() -> None:
    script, sink = Prepared(), Sink()
    script.fail_prepare[FRAMES // 2] = InputError("It is of another shape.")
    with (
        pytest.raises(InputError, match="another shape"),
        make(ScriptedCamera(None), script, sink, "every_frame") as pipeline,
    ):
        pipeline.wait(PATIENCE_S)
    assert script.by["infer"] > 0
    stats = accounted(pipeline, sink)
    assert stats.dropped["failed"] == 1
    assert sink.seqs == [seq for seq in range(len(sink.seqs) + 1) if seq != FRAMES // 2][: len(sink.seqs)]


def test_a_swap_to_a_slow_model_and_back_loses_nothing() -> None:
    quick, slow, again, sink = Prepared(), Prepared(infer_s=0.04), Prepared(), Sink()
    count = slots_wanted(("every_frame",), 1)
    with make(ScriptedCamera(None), quick, sink, "every_frame") as pipeline:
        wait_until(lambda: quick.by["infer"] > 20, "a lane to prepare")
        pipeline.swap_slots(slow.slots(count), PATIENCE_S)
        wait_until(lambda: slow.by["preprocess"] > 5, "the thread to prepare for the slow one")
        pipeline.swap_slots(again.slots(count), PATIENCE_S)
        wait_until(lambda: again.by["infer"] > 20, "a lane to prepare again")
        stats = pipeline.stop(PATIENCE_S)
    assert sink.seqs == list(range(stats.captured))


@pytest.mark.parametrize(
    ("policy", "live", "usual", "quick"),
    [("every_frame", False, 2, 16), ("every_frame", True, 2, 2), ("freshest", False, 5, 5)],
    ids=["film", "live", "freshest"],
)
def test_many_pictures_of_a_film_wait_for_a_quick_model_and_memory_for_them_is_touched_only_then(
    policy: Policy, live: bool, usual: int, quick: int
) -> None:
    camera = ScriptedCamera(None, live=live)
    line = CameraLine("door", camera, policy, 2, Meters(["door"], time.monotonic)["door"], threading.Lock())
    cells = list(line.free)

    def fill() -> set[int]:
        while line.may_capture() and line.free:
            line.pictures.append(line.free.pop())
        touched = {cells.index(cell) for cell in line.pictures}
        while line.pictures:
            line.give_back(line.pictures.pop())
        return touched

    first = fill()
    assert len(first) == usual
    assert fill() == first, "the same ones again"
    line.rhythm.quick = True
    assert len(fill()) == quick
    line.rhythm.quick = False
    assert fill() == first


def test_quick_is_said_of_many_frames_and_taken_back_when_it_is_clear() -> None:
    rhythm = FrameRhythm()
    for _ in range(7):
        rhythm.inferred(0.0001, 0.0001)
    assert not rhythm.quick, "seven frames say too little"
    rhythm.inferred(0.0001, 0.0001)
    assert rhythm.quick
    rhythm.inferred(0.0001, 0.05)
    assert rhythm.quick, "one frame that was put off says nothing"
    for _ in range(30):
        rhythm.inferred(0.0001, 0.05)
    assert not rhythm.quick
