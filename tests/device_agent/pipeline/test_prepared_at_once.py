"""Where a lane sleeps, a live camera's own thread prepares what it has read: one thread is woken for a frame, and not two."""

from __future__ import annotations

import random
import threading

import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.pipeline.frame_rhythm import FrameRhythm
from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, accounted, make
from edgesdk_testkit.slots import PATIENCE_S, Prepared, Script, ScriptedSlot, wait_until

FRAMES = 60
# Slower than what counts as quick, so that lanes do not prepare.
INFER_S = 0.002


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_cameras_thread_prepares_while_a_lane_sleeps(lanes: int) -> None:
    script, sink = Prepared(infer_s=INFER_S), Sink()
    with make(PacedCamera(ScriptedCamera(None), 100), script, sink, "freshest", lanes=lanes) as pipeline:
        wait_until(lambda: script.by["capture"] >= 20, "the camera's thread to prepare")
        pipeline.stop(PATIENCE_S)
        stats = accounted(pipeline, sink)
    assert not script.by["infer"]
    assert sink.seqs == sorted(set(sink.seqs))
    assert all(seconds >= 0 for seconds in stats.cpu_s.values())


def test_of_a_film_frames_are_prepared_beside_reading_and_the_model() -> None:
    # Negative control: all three go on at the same time.
    script, sink = Prepared(infer_s=INFER_S), Sink()
    with make(PacedCamera(ScriptedCamera(FRAMES), 100), script, sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
        accounted(pipeline, sink)
    assert script.by == {"preprocess": FRAMES}
    assert sink.seqs == list(range(FRAMES))


def test_a_camera_is_not_kept_from_reading_by_what_takes_long_to_prepare() -> None:
    script, sink = Prepared(infer_s=INFER_S, prepare_s=0.006), Sink()
    with make(PacedCamera(ScriptedCamera(FRAMES), 100), script, sink, "freshest") as pipeline:
        assert pipeline.wait(PATIENCE_S)
        accounted(pipeline, sink)
    assert set(script.by) == {"preprocess"}


@pytest.mark.parametrize(
    ("period_s", "prepare_s", "at_ease"),
    [(0.033, 0.0005, True), (0.2, 0.0035, True), (0.2, 0.005, False), (0.004, 0.0005, True), (0.001, 0.0005, False)],
)
def test_at_ease_is_who_prepares_in_little_of_a_frames_time(period_s: float, prepare_s: float, at_ease: bool) -> None:
    rhythm = FrameRhythm()
    for number in range(12):
        rhythm.captured(10 + number * period_s)
        rhythm.inferred(prepare_s, 0.01)
        assert number >= 7 or not rhythm.at_ease, "few frames say too little"
    assert rhythm.at_ease is at_ease


def test_while_all_lanes_are_busy_newer_frames_replace_what_is_ready() -> None:
    script, sink = Prepared(gated=True), Sink()
    assert script.gate is not None
    with make(PacedCamera(ScriptedCamera(None), 200), script, sink, "freshest") as pipeline:
        assert script.began.acquire(timeout=PATIENCE_S)
        wait_until(lambda: script.by["preprocess"] >= 5, "newer frames to be prepared")
        # The last one may still be on its way to where a lane takes it from.
        newest = script.prepared[-2]
        script.gate.release(1000)
        wait_until(lambda: len(sink.results) > 1, "the second result")
        pipeline.stop(PATIENCE_S)
        accounted(pipeline, sink)
    assert sink.seqs[1] >= newest


def test_cameras_that_come_at_any_moment_are_all_served_and_none_is_left_lying() -> None:
    turns = random.Random(3)
    for lanes in (1, 2, 3):
        script, sink = Prepared(infer_s=INFER_S), Sink()
        cameras = {name: PacedCamera(ScriptedCamera(FRAMES), turns.uniform(150, 300)) for name in "abcd"}
        with make(cameras, script, sink, "freshest", lanes=lanes) as pipeline:
            assert pipeline.wait(PATIENCE_S)
            stats = accounted(pipeline, sink)
        for name in cameras:
            seqs = sink.of(name)
            assert seqs == sorted(set(seqs))
            # The last frame of each is followed by nothing that could replace it, or wake anybody for it.
            assert seqs[-1] == FRAMES - 1, (lanes, name, stats.dropped)


class FailsAtCamera(Script):
    """What a camera's own thread prepares fails."""

    def slots(self, count: int) -> tuple[ScriptedSlot, ...]:
        return tuple(_FailingSlot(self) for _ in range(count))


class _FailingSlot(ScriptedSlot):
    def prepare(self, image: Array) -> None:
        if threading.current_thread().name.startswith("edgesdk-capture"):
            raise SessionFailed("The runtime's memory is gone.")
        super().prepare(image)


def test_what_fails_while_it_is_prepared_is_the_pipelines_failure_and_not_the_cameras() -> None:
    script, sink = FailsAtCamera(infer_s=INFER_S), Sink()
    with (
        pytest.raises(SessionFailed, match="memory is gone"),
        make(PacedCamera(ScriptedCamera(None), 100), script, sink, "freshest") as pipeline,
    ):
        pipeline.wait(PATIENCE_S)
    assert not pipeline.camera_errors
    assert accounted(pipeline, sink).dropped["failed"] == 1
