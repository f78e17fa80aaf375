"""Several cameras on one model."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_agent.cameras.camera import CameraCounts, FrameLost
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import POLICIES, Policy, slots_wanted
from edgesdk_targets.errors import CameraLost, EdgeError, InputError, SessionFailed
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, accounted, assert_accounts, make, run_until
from edgesdk_testkit.slots import PATIENCE_S, Script, ScriptedSlot, wait_until

pytestmark = pytest.mark.alone


def test_every_camera_keeps_its_own_order_and_numbers() -> None:
    script, sink = Script(), Sink()
    cameras = {name: ScriptedCamera(frames) for name, frames in (("a", 60), ("b", 30), ("c", 1))}
    with make(cameras, script, sink, "every_frame", lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert [sink.of(name) for name in "abc"] == [list(range(60)), list(range(30)), [0]]
    stats = pipeline.stats()
    assert {name: one.processed for name, one in stats.cameras.items()} == {"a": 60, "b": 30, "c": 1}
    assert stats.processed == 91
    assert_accounts(stats)
    # A result is of its own camera's picture.
    assert all(seq == stamp for _, seq, stamp in script.inferred)


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_model_that_is_too_slow_is_shared_fairly(policy: Policy, lanes: int) -> None:
    script, sink = Script(infer_s=0.008), Sink()
    # Different rates, each above its share: the fast ones get no more of the model than the slow ones.
    cameras = {f"{fps}": PacedCamera(ScriptedCamera(None), fps) for fps in (200, 400, 800)}
    with make(cameras, script, sink, policy, lanes=lanes) as pipeline:
        wait_until(lambda: len(sink.results) >= 90, "results")
        stats = pipeline.stop(PATIENCE_S)
    shares = [one.processed for one in stats.cameras.values()]
    # Jain's index: 1 is fair, 1/3 is one camera only.
    assert sum(shares) ** 2 / (3 * sum(n * n for n in shares)) > 0.98, shares
    assert_accounts(stats)


def test_a_quick_camera_does_not_starve_a_slow_one() -> None:
    script, sink = Script(infer_s=0.003), Sink()
    cameras = {"fast": PacedCamera(ScriptedCamera(None), 1000), "slow": PacedCamera(ScriptedCamera(30), 50)}
    with make(cameras, script, sink, "freshest") as pipeline:
        wait_until(lambda: len(sink.of("slow")) >= 15, "the slow camera's results")
        stats = pipeline.stop(PATIENCE_S)
    # Its turn comes within two inferences, so that of its frames, 20 ms apart, hardly one is replaced, unless the machine
    # stalls; by its share of the frames one of twenty would be processed.
    assert stats.cameras["slow"].processed >= 0.5 * stats.cameras["slow"].captured
    assert stats.cameras["fast"].dropped["replaced_before_inference"] > stats.cameras["fast"].processed
    assert_accounts(stats)


def test_policies_may_differ_and_neither_holds_up_the_other() -> None:
    script, sink = Script(infer_s=0.002), Sink()
    cameras: dict[str, Any] = {"live": PacedCamera(ScriptedCamera(200), 1000), "file": ScriptedCamera(60)}
    policies: dict[str, Policy] = {"live": "freshest", "file": "every_frame"}
    slots = script.slots(slots_wanted(tuple(policies.values())))
    with Pipeline(slots, cameras, on_result=sink, policy=policies) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert sink.of("file") == list(range(60))
    assert stats.cameras["file"].dropped == {}
    assert stats.cameras["live"].captured == 200
    assert set(stats.cameras["live"].dropped) <= {"replaced_before_preprocess", "replaced_before_inference"}
    assert_accounts(stats)


def test_a_policy_for_a_camera_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no camera 'b'"):
        Pipeline(Script().slots(3), {"a": ScriptedCamera(1)}, on_result=Sink(), policy={"b": "freshest"})
    with pytest.raises(InputError, match="at least one camera"):
        Pipeline(Script().slots(3), {}, on_result=Sink())


def test_one_camera_that_fails_is_told_and_the_others_go_on() -> None:
    told: list[tuple[str, EdgeError]] = []
    bad, good, sink = ScriptedCamera(None), ScriptedCamera(50), Sink()
    bad.at = {5: CameraLost("The camera is gone.")}
    with make(
        {"bad": bad, "good": good}, Script(), sink, "every_frame", on_camera_error=lambda *what: told.append(what)
    ) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert [(name, error.message) for name, error in told] == [("bad", "The camera is gone.")]
    assert list(pipeline.camera_errors) == ["bad"]
    assert sink.of("good") == list(range(50))
    # What it had captured is not lost with it.
    assert sink.of("bad") == list(range(5))
    assert bad.closed > 0
    assert_accounts(pipeline.stats())


def test_the_pipeline_fails_when_no_camera_is_left() -> None:
    cameras = {name: ScriptedCamera(None) for name in "ab"}
    for number, camera in enumerate(cameras.values()):
        camera.at = {5 * number + 3: CameraLost(f"Camera {number} is gone.")}
    pipeline = make(cameras, Script(), Sink(), "every_frame").start()
    with pytest.raises(CameraLost, match="is gone"):
        pipeline.wait(PATIENCE_S)
    with pytest.raises(CameraLost):
        pipeline.stop(PATIENCE_S)
    assert sorted(pipeline.camera_errors) == ["a", "b"]
    assert_accounts(pipeline.stats())


def test_a_picture_that_the_model_cannot_take_ends_its_camera_only() -> None:
    class Picky(ScriptedSlot):
        def prepare(self, image: Array) -> None:
            if image.shape[2] != 3:
                raise InputError("A picture must be (H, W, 3).")
            super().prepare(image)

    class Odd(ScriptedCamera):
        def read(self, out: Array | None) -> Array | None:
            picture = super().read(out)
            return picture if picture is None or self.reads < 4 else np.zeros((16, 32, 4), np.uint8)

    script, sink = Script(), Sink()
    odd, good = Odd(None), ScriptedCamera(50)
    with Pipeline(
        [Picky(script) for _ in range(4)], {"odd": odd, "good": good}, on_result=sink, policy="every_frame"
    ) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.of("good") == list(range(50))
    assert "(H, W, 3)" in pipeline.camera_errors["odd"].message
    assert pipeline.stats().cameras["odd"].dropped["failed"] >= 1
    assert_accounts(pipeline.stats())


def test_a_model_that_fails_ends_all_cameras() -> None:
    script = Script()
    script.fail_infer[4] = SessionFailed("The runtime failed.")
    cameras = {name: ScriptedCamera(None) for name in "ab"}
    pipeline = make(cameras, script, Sink(), "every_frame").start()
    with pytest.raises(SessionFailed, match="The runtime failed"):
        pipeline.wait(PATIENCE_S)
    with pytest.raises(SessionFailed):
        pipeline.stop(PATIENCE_S)
    assert all(camera.closed for camera in cameras.values())
    assert not pipeline.camera_errors
    assert_accounts(pipeline.stats())


def test_the_state_of_each_camera_sees_its_frames_in_order() -> None:
    script, sink = Script(infer_s=0.001), Sink()
    cameras = {name: PacedCamera(ScriptedCamera(40), 500) for name in "ab"}
    with make(cameras, script, sink, "every_frame", lanes=1) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    for name in "ab":
        assert [seq for camera, seq, _ in script.inferred if camera == name] == list(range(40))


def test_a_paused_pipeline_drains_live_cameras_and_counts_and_lets_files_wait() -> None:
    script, sink = Script(), Sink()
    live, file = ScriptedCamera(None, live=True), ScriptedCamera(None)
    with make({"live": live, "file": file}, script, sink, lanes=2) as pipeline:
        wait_until(lambda: bool(sink.of("live") and sink.of("file")), "results of both")
        pipeline.pause()
        # A read that had begun before is the last that the file does.
        wait_until(lambda: pipeline.stats().in_flight == 0 and len(sink.results) == pipeline.stats().processed, "rest")
        reads, results, seen = live.reads, len(sink.results), len(sink.of("live"))
        wait_until(lambda: live.reads > reads + 20, "the live camera to be drained")
        assert len(sink.of("live")) == seen
        assert len(sink.results) <= results + 1
        pipeline.resume()
        wait_until(lambda: len(sink.results) > results + 10, "results after the pause")
    stats = pipeline.stats()
    assert stats.cameras["live"].dropped["paused"] > 20
    assert stats.cameras["file"].dropped == {}
    assert sink.of("file") == list(range(stats.cameras["file"].captured))
    assert_accounts(stats)


def test_one_camera_is_paused_and_the_other_goes_on() -> None:
    script, sink = Script(), Sink()
    cameras = {name: PacedCamera(ScriptedCamera(None), 200) for name in ("door", "gate")}
    with make(cameras, script, sink) as pipeline:
        wait_until(lambda: bool(sink.of("door")) and bool(sink.of("gate")), "results of both")
        pipeline.pause("door")
        wait_until(lambda: pipeline.stats().cameras["door"].dropped.get("paused", 0) > 20, "frames to be dropped")
        before = len(sink.of("door"))
        gate = len(sink.of("gate"))
        wait_until(lambda: len(sink.of("gate")) > gate + 20, "results of the other")
        assert len(sink.of("door")) == before
        pipeline.resume("door")
        wait_until(lambda: len(sink.of("door")) > before + 5, "results after the pause")
        with pytest.raises(InputError, match="no camera 'yard'"):
            pipeline.pause("yard")
    assert_accounts(pipeline.stats())


def test_a_paused_file_can_be_stopped() -> None:
    with make(ScriptedCamera(None), Script(), sink := Sink(), "every_frame") as pipeline:
        wait_until(lambda: bool(sink.results), "a result")
        pipeline.pause()
    assert_accounts(pipeline.stats())


@settings(max_examples=25, deadline=None)
@given(
    policies=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=4),
    slots=st.integers(1, 8),
    lanes=st.integers(1, 3),
    keep_image=st.booleans(),
    lost=st.sets(st.integers(0, 20), max_size=3),
    infer_s=st.sampled_from([0.0, 0.001]),
    fps=st.sampled_from([None, 1000.0]),
    swap=st.booleans(),
    stop_after=st.sampled_from([None, 0, 10]),
)
def test_any_mix_of_cameras_ends_with_every_frame_accounted_for(
    policies: list[Policy],
    slots: int,
    lanes: int,
    keep_image: bool,
    lost: set[int],
    infer_s: float,
    fps: float | None,
    swap: bool,
    stop_after: int | None,
) -> None:
    scripts, sink = (Script(infer_s=infer_s), Script()), Sink()
    cameras: dict[str, Any] = {}
    for number in range(len(policies)):
        camera = ScriptedCamera(30)
        camera.at = {n: FrameLost("torn", cause="unreadable") for n in lost}
        cameras[f"{number}"] = camera if fps is None else PacedCamera(camera, fps)
    by_name = dict(zip(cameras, policies, strict=True))
    with Pipeline(
        scripts[0].slots(slots), cameras, on_result=sink, policy=by_name, lanes=lanes, keep_image=keep_image
    ) as pipeline:
        if swap:
            pipeline.swap_slots(scripts[1].slots(slots), PATIENCE_S, lanes=lanes)
        run_until(pipeline, sink, stop_after)
    stats = accounted(pipeline, sink)
    for name, policy in by_name.items():
        seqs = sink.of(name)
        assert seqs == sorted(set(seqs))
        if policy == "every_frame":
            assert seqs == [seq for seq in range(stats.cameras[name].captured) if seq not in lost]


def test_threads_are_named_for_what_they_do() -> None:
    names: set[str] = set()

    def look(_: object) -> None:
        names.update(thread.name for thread in threading.enumerate() if thread.name.startswith("edgesdk-"))

    with make({"a": ScriptedCamera(50), "b": ScriptedCamera(50)}, Script(), look, "every_frame", lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert {"edgesdk-capture-a", "edgesdk-capture-b", "edgesdk-preprocess"} <= names
    assert names & {"edgesdk-infer-1", "edgesdk-infer-2"}
    seconds = pipeline.stats().cpu_s
    assert list(seconds) == ["capture", "preprocess", "infer", "deliver"]
    assert all(value > 0 for value in seconds.values())


class _CountingCamera(ScriptedCamera):
    def __init__(self) -> None:
        super().__init__(3)
        self.counts = CameraCounts(skipped=7, reconnects=1, resized=2, decode_cpu_s=0.5)


def test_what_a_camera_counts_itself_is_in_the_stats() -> None:
    cameras = {"counts": _CountingCamera(), "plain": ScriptedCamera(3)}
    with make(cameras, Script(), Sink(), "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    told: Any = pipeline.stats().to_json()
    expected = {"skipped": 7, "reconnects": 1, "resized": 2, "decode_cpu_s": 0.5}
    source = told["cameras"]["counts"]["source"]
    assert {name: value for name, value in source.items() if value} == expected
    assert told["cameras"]["plain"]["source"]["skipped"] == 0
    assert "source" not in told


def test_results_that_a_filter_keeps_back_are_counted_apart_from_frames() -> None:
    sink = Sink()
    delivery = FilteredDelivery(lambda one: None if one.seq == 1 else one, InlineDelivery(sink))
    with Pipeline(Script().slots(2), ScriptedCamera(4), on_result=delivery) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert (stats.processed, stats.results_filtered, stats.results_dropped) == (4, 1, 0)
    assert len(sink.results) == 3
