from __future__ import annotations

import logging
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_agent.cameras.camera import CameraInfo, FrameLost
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera, read_stamp
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.pipeline import SLOTS_WANTED, Pipeline, Policy
from edgesdk_targets.errors import CameraLost, EdgeError, InputError, NoSpace, SessionFailed
from edgesdk_targets.tensor import Array
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

POLICIES: tuple[Policy, ...] = ("freshest", "every_frame")


class ScriptedCamera:
    """A small synthetic camera that does something else at chosen reads."""

    def __init__(self, frames: int | None, *, live: bool = False) -> None:
        self._inner = SyntheticCamera(width=32, height=16, frames=frames)
        self.info = CameraInfo(32, 16, None, live, "scripted")
        self.at: dict[int, BaseException | Callable[[], None]] = {}
        self.reads = 0
        self.closed = 0

    def read(self, out: Array | None) -> Array | None:
        action = self.at.get(self.reads)
        self.reads += 1
        if isinstance(action, BaseException):
            raise action
        if action is not None:
            action()
        return self._inner.read(out)

    def close(self) -> None:
        self.closed += 1
        self._inner.close()


class Sink:
    """Collects results, and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []

    def __call__(self, result: FrameResult) -> None:
        self.results.append(result)

    @property
    def seqs(self) -> list[int]:
        return [result.seq for result in self.results]


def make(
    camera: Any, script: Script, sink: Callable[[FrameResult], None], policy: Policy | None = None, **more: Any
) -> Pipeline:
    return Pipeline(script.slots(SLOTS_WANTED[policy or "freshest"]), camera, on_result=sink, policy=policy, **more)


def assert_accounts(stats: FrameStats) -> None:
    assert stats.in_flight == 0
    assert stats.captured == stats.processed + sum(stats.dropped.values())


def no_threads_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("edgesdk-")]


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Any:
    yield
    wait_until(no_threads_left, "the end of every thread")


def test_every_frame_loses_nothing_and_keeps_the_order() -> None:
    script, sink = Script(), Sink()
    with make(ScriptedCamera(300), script, sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == list(range(300))
    assert [(seq, stamp) for _, seq, stamp in script.inferred] == [(n, n) for n in range(300)]
    stats = pipeline.stats()
    assert (stats.captured, stats.processed, stats.dropped) == (300, 300, {})


def test_the_policy_follows_the_camera() -> None:
    for live, policy in ((True, "freshest"), (False, "every_frame")):
        pipeline = make(ScriptedCamera(1, live=live), Script(), Sink())
        assert pipeline.policy == policy
    with pytest.raises(InputError, match="no policy 'fast'"):
        Pipeline(Script().slots(1), ScriptedCamera(1), on_result=Sink(), policy="fast")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least one slot"):
        Pipeline((), ScriptedCamera(1), on_result=Sink())


@pytest.mark.parametrize(("policy", "next_inferred"), [("freshest", 5), ("every_frame", 1)])
def test_what_is_prepared_is_replaced_until_the_model_takes_it(policy: Policy, next_inferred: int) -> None:
    # `every_frame` is the negative control: a plain pair gives the model what was prepared first.
    script, sink = Script(gated=True), Sink()
    camera = ScriptedCamera(6)
    assert script.gate is not None

    def began() -> None:
        assert script.began.acquire(timeout=PATIENCE_S)

    def prepared(number: int) -> Callable[[], None]:
        return lambda: wait_until(lambda: number in script.prepared, f"preparing {number}")

    if policy == "freshest":
        # The camera gives each frame when the one before is prepared, while the model is busy with frame 0.
        camera.at.update({n + 1: prepared(n) for n in range(1, 5)})
        camera.at[1] = began
    with make(camera, script, sink, policy) as pipeline:
        if policy == "freshest":
            prepared(5)()
        else:
            began()
        script.gate.release(100)
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs[:2] == [0, next_inferred]
    assert_accounts(pipeline.stats())
    if policy == "freshest":
        assert pipeline.stats().dropped == {"replaced_before_inference": 4}


def test_frames_that_preprocessing_never_got_have_a_cause_of_their_own() -> None:
    script, sink = Script(), Sink()
    camera = ScriptedCamera(5)
    busy = threading.Event()
    held = threading.Event()

    def prepare_waits(seconds: float) -> None:
        busy.set()
        assert held.wait(PATIENCE_S)

    script.work = prepare_waits  # type: ignore[method-assign]
    camera.at = {1: lambda: wait_until(busy.is_set, "the first preparation"), 5: held.set}
    with make(camera, script, sink, "freshest") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert stats.dropped["replaced_before_preprocess"] == 3
    assert sink.seqs[-1] == 4
    assert_accounts(stats)


def test_freshest_bounds_the_age_where_a_plain_pair_does_not() -> None:
    interval_s, infer_s, ages = 0.01, 0.06, {}
    for policy in POLICIES:
        script, sink = Script(infer_s=infer_s), Sink()
        camera = PacedCamera(SyntheticCamera(width=32, height=16, frames=60), 1 / interval_s)
        with make(camera, script, sink, policy) as pipeline:
            assert pipeline.wait(PATIENCE_S)
        stats = pipeline.stats()
        assert_accounts(stats)
        assert stats.age.p50 is not None
        assert stats.infer.p50 is not None
        # In units of what this very run took, so that a slow machine does not matter.
        ages[policy] = stats.age.p50 / (stats.infer.p50 + 2 * interval_s)
        if policy == "freshest":
            assert sink.results[-1].seq == 59, "the newest frame was not the last one reported"
            assert stats.dropped["replaced_before_inference"] > stats.processed
    assert ages["freshest"] < 1.1
    assert ages["every_frame"] > 1.8 * ages["freshest"]


@settings(max_examples=30, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    slots=st.integers(1, 4),
    frames=st.integers(0, 40),
    keep_image=st.booleans(),
    lost=st.sets(st.integers(0, 40), max_size=5),
    prepare_s=st.sampled_from([0.0, 0.0005]),
    infer_s=st.sampled_from([0.0, 0.001]),
    fps=st.sampled_from([None, 1000.0]),
    stop_after=st.sampled_from([None, 0, 3]),
)
def test_every_captured_frame_is_processed_or_dropped_with_a_cause(
    policy: Policy,
    slots: int,
    frames: int,
    keep_image: bool,
    lost: set[int],
    prepare_s: float,
    infer_s: float,
    fps: float | None,
    stop_after: int | None,
) -> None:
    script, sink = Script(prepare_s=prepare_s, infer_s=infer_s), Sink()
    source = ScriptedCamera(frames or None)
    source.at = {n: FrameLost("torn", cause="unreadable") for n in lost}
    if not frames:
        # An endless camera, which only a stop ends.
        stop_after = 3 if stop_after is None else stop_after
    camera: Any = source if fps is None else PacedCamera(source, fps)
    with Pipeline(script.slots(slots), camera, on_result=sink, policy=policy, keep_image=keep_image) as pipeline:
        if stop_after is None:
            assert pipeline.wait(PATIENCE_S)
        else:
            wait_until(lambda: len(sink.results) >= stop_after or pipeline.wait(0), "results")
    stats = pipeline.stats()
    assert_accounts(stats)
    assert stats.processed == len(sink.results)
    assert sink.seqs == sorted(set(sink.seqs))
    assert stats.captured >= max(sink.seqs, default=-1) + 1
    # A result is of the very picture that its number says: losses shift the synthetic camera's own count.
    for _, seq, stamp in script.inferred:
        assert seq == stamp + len([n for n in lost if n < seq + 1])
    if policy == "every_frame":
        assert set(stats.dropped) <= {"unreadable"}
        assert sink.seqs == [seq for seq in range(stats.captured) if seq not in lost]


def test_a_stop_delivers_what_was_captured() -> None:
    script, sink = Script(infer_s=0.005), Sink()
    with make(ScriptedCamera(None), script, sink, "every_frame") as pipeline:
        wait_until(lambda: len(sink.results) >= 3, "three results")
        stats = pipeline.stop(PATIENCE_S)
    assert stats.dropped == {}
    assert sink.seqs == list(range(stats.captured))


def test_a_stop_that_takes_too_long_drops_the_rest_and_says_so() -> None:
    script, sink = Script(gated=True), Sink()
    assert script.gate is not None
    pipeline = make(ScriptedCamera(None), script, sink, "every_frame").start()
    assert script.began.acquire(timeout=PATIENCE_S)
    wait_until(lambda: len(script.prepared) == 2, "a prepared frame behind the one in inference")
    stopping = threading.Timer(0.3, script.gate.release, args=(100,))
    stopping.start()
    stats = pipeline.stop(timeout_s=0.05)
    stopping.join()
    assert sink.seqs == [0]
    assert stats.dropped["stopped"] == stats.captured - 1 > 0
    assert_accounts(stats)


def test_a_model_that_does_not_return_is_an_error_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesdk_agent.pipeline._ABORT_GRACE_S", 0.05)
    script = Script(gated=True)
    assert script.gate is not None
    pipeline = make(ScriptedCamera(None), script, Sink(), "every_frame").start()
    assert script.began.acquire(timeout=PATIENCE_S)
    with pytest.raises(SessionFailed, match=r"edgesdk-infer-camera did not stop"):
        pipeline.stop(timeout_s=0.05)
    script.gate.release(100)


def test_a_camera_that_does_not_return_does_not_hold_up_a_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgesdk_agent.pipeline._ABORT_GRACE_S", 0.05)
    camera, sink, hang = ScriptedCamera(None), Sink(), threading.Event()
    camera.at = {3: lambda: wait_until(hang.is_set, "the camera's answer")}
    pipeline = make(camera, Script(), sink, "every_frame").start()
    wait_until(lambda: len(sink.results) == 3, "three results")
    with caplog.at_level(logging.WARNING):
        stats = pipeline.stop(timeout_s=0.05)
    assert stats.processed == 3
    assert "waits for its camera" in caplog.text
    hang.set()


def test_a_callback_may_stop_the_pipeline() -> None:
    results: list[int] = []

    def once(result: FrameResult) -> None:
        results.append(result.seq)
        if result.seq == 4:
            pipeline.stop()

    pipeline = make(ScriptedCamera(None), Script(), once, "every_frame")
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert results[:5] == [0, 1, 2, 3, 4]
    assert_accounts(pipeline.stats())


def test_a_failing_callback_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fails(result: FrameResult) -> None:
        if result.seq % 2:
            raise ValueError("the callback's own fault")

    with make(ScriptedCamera(10), Script(), fails, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert (stats.processed, stats.callback_errors) == (10, 5)
    assert len([r for r in caplog.records if "the callback failed" in r.getMessage()]) == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_a_lost_camera_ends_the_pipeline_with_its_error(policy: Policy) -> None:
    camera, sink = ScriptedCamera(None), Sink()
    camera.at = {5: CameraLost("The camera is gone.", hint="Plug it in.")}
    pipeline = make(camera, Script(), sink, policy)
    with pytest.raises(CameraLost, match="The camera is gone") as caught, pipeline:
        pipeline.wait(PATIENCE_S)
    assert caught.value.hint == "Plug it in."
    assert camera.closed > 0
    stats = pipeline.stats()
    assert stats.captured == 5
    wait_until(no_threads_left, "the end of every thread")
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("stage", ["prepare", "infer"])
def test_a_failing_model_ends_the_pipeline_with_its_error(stage: str) -> None:
    script, sink = Script(), Sink()
    error = SessionFailed("The runtime failed.")
    getattr(script, f"fail_{stage}")[4] = error
    pipeline = make(ScriptedCamera(None), script, sink, "every_frame").start()
    with pytest.raises(SessionFailed) as caught:
        pipeline.wait(PATIENCE_S)
    assert caught.value is error
    with pytest.raises(SessionFailed):
        pipeline.stop(PATIENCE_S)
    stats = pipeline.stats()
    assert sink.seqs == [0, 1, 2, 3][: len(sink.seqs)]
    assert stats.dropped["failed"] == 1
    assert_accounts(stats)


def test_a_failing_model_does_not_leave_a_waiting_camera_behind() -> None:
    script, camera = Script(gated=True), ScriptedCamera(None)
    assert script.gate is not None
    script.fail_infer[1] = SessionFailed("The runtime failed.")
    woken: list[int] = []

    def wait_for_the_close() -> None:
        wait_until(lambda: camera.closed > 0, "the close that wakes the camera")
        woken.append(camera.closed)

    camera.at = {3: wait_for_the_close}
    pipeline = make(camera, script, Sink(), "every_frame").start()
    wait_until(lambda: camera.reads == 4, "the camera to wait in its fourth read")
    script.gate.release(100)
    with pytest.raises(SessionFailed):
        pipeline.wait(PATIENCE_S)
    wait_until(lambda: no_threads_left() or bool(woken), "the end of every thread")
    assert woken


@pytest.mark.parametrize(
    ("where", "kind"), [("camera", CameraLost), ("prepare", SessionFailed), ("infer", SessionFailed)]
)
def test_a_strangers_exception_is_explained_and_its_secrets_are_not(where: str, kind: type[EdgeError]) -> None:
    script, camera = Script(), ScriptedCamera(None)
    stranger = RuntimeError("cannot read rtsp://admin:hunter2@10.0.0.9/live\nand a second line")
    if where == "camera":
        camera.at = {2: stranger}
    else:
        getattr(script, f"fail_{where}")[2] = stranger
    with pytest.raises(kind) as caught, make(camera, script, Sink(), "every_frame") as pipeline:
        pipeline.wait(PATIENCE_S)
    assert "RuntimeError: cannot read rtsp://***@10.0.0.9/live" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_error_goes_to_the_callback_where_there_is_one() -> None:
    errors: list[EdgeError] = []
    camera = ScriptedCamera(None)
    camera.at = {3: CameraLost("gone")}
    with make(camera, Script(), Sink(), "every_frame", on_error=errors.append) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert [error.message for error in errors] == ["gone"]


def test_an_error_of_the_camera_s_close_is_not_lost() -> None:
    camera = ScriptedCamera(3)

    def full() -> None:
        raise NoSpace("The disk is full.")

    camera.close = full  # type: ignore[method-assign]
    with pytest.raises(NoSpace), make(camera, Script(), Sink(), "every_frame") as pipeline:
        pipeline.wait(PATIENCE_S)
    wait_until(no_threads_left, "the end of every thread")


def test_the_error_of_the_body_is_not_replaced_by_the_pipelines() -> None:
    camera = ScriptedCamera(None)
    camera.at = {0: CameraLost("gone")}

    def body() -> None:
        with make(camera, Script(), Sink(), "every_frame") as pipeline:
            wait_until(lambda: pipeline._error is not None, "the camera's error")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        body()


def test_a_lost_frame_is_a_gap_and_counted() -> None:
    camera, sink = ScriptedCamera(4), Sink()
    camera.at = {1: FrameLost("torn", cause="unreadable"), 3: FrameLost("back", cause="camera_lost")}
    with make(camera, Script(), sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == [0, 2, 4, 5]
    assert pipeline.stats().dropped == {"unreadable": 1, "camera_lost": 1}
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("policy", POLICIES)
def test_another_model_takes_over_between_two_frames(policy: Policy) -> None:
    old, new, sink = Script(infer_s=0.002), Script(infer_s=0.001), Sink()
    camera = PacedCamera(ScriptedCamera(None), 500)
    with make(camera, old, sink, policy) as pipeline:
        wait_until(lambda: len(old.inferred) >= 5, "results of the old model")
        pipeline.swap(new.slots(SLOTS_WANTED[policy]), PATIENCE_S)
        done = len(old.inferred)
        wait_until(lambda: len(new.inferred) >= 5, "results of the new model")
        assert len(old.inferred) == done, "the old model worked after the swap had returned"
    stats = pipeline.stats()
    assert_accounts(stats)
    seqs = [seq for _, seq, _ in old.inferred + new.inferred]
    assert seqs == sink.seqs == sorted(seqs)
    if policy == "every_frame":
        assert seqs == list(range(stats.captured)), "the swap lost a frame"


def test_two_swaps_at_once_lose_nothing() -> None:
    scripts, sink = [Script(gated=True), Script(), Script()], Sink()
    assert scripts[0].gate is not None
    with make(PacedCamera(ScriptedCamera(None), 1000), scripts[0], sink, "every_frame") as pipeline:
        assert scripts[0].began.acquire(timeout=PATIENCE_S)
        wait_until(lambda: len(scripts[0].prepared) == 2, "a full old model")
        swaps = [threading.Thread(target=pipeline.swap, args=(s.slots(2), PATIENCE_S)) for s in scripts[1:]]
        swaps[0].start()
        wait_until(lambda: len(scripts[1].prepared) == 2, "the first successor to prepare")
        swaps[1].start()
        wait_until(lambda: len(scripts[2].prepared) >= 1, "the second successor to prepare")
        scripts[0].gate.release(100)
        for swap in swaps:
            swap.join(PATIENCE_S)
        wait_until(lambda: len(scripts[2].inferred) >= 3, "results of the last model")
    assert sink.seqs == list(range(pipeline.stats().captured))
    assert [len(s.inferred) > 0 for s in scripts] == [True, True, True]


def test_a_swap_does_not_wait_for_ever_for_the_old_model() -> None:
    old, new, sink = Script(gated=True), Script(), Sink()
    assert old.gate is not None
    with make(ScriptedCamera(None), old, sink, "every_frame") as pipeline:
        assert old.began.acquire(timeout=PATIENCE_S)
        with pytest.raises(SessionFailed, match="still at work"):
            pipeline.swap(new.slots(2), timeout_s=0.05)
        old.gate.release(100)
        wait_until(lambda: bool(new.inferred), "the new model's first result")
    assert sink.seqs == list(range(pipeline.stats().captured))


def test_a_swap_after_the_end_changes_nothing() -> None:
    new = Script()
    with make(ScriptedCamera(3), Script(), Sink(), "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
        pipeline.swap(new.slots(2), PATIENCE_S)
    assert new.inferred == []


@pytest.mark.parametrize("policy", POLICIES)
def test_a_kept_picture_is_the_results_own_until_the_callback_returns(policy: Policy) -> None:
    seen: list[tuple[int, int, int]] = []

    def look(result: FrameResult) -> None:
        assert result.image is not None
        before = read_stamp(result.image)
        threading.Event().wait(0.002)
        seen.append((result.seq, before, read_stamp(result.image)))

    camera = PacedCamera(SyntheticCamera(width=32, height=16, frames=60), 1000)
    with make(camera, Script(), look, policy, keep_image=True) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert seen
    assert all(seq == before == after for seq, before, after in seen)
    assert_accounts(pipeline.stats())


def test_replaced_frames_give_their_kept_pictures_back() -> None:
    script, sink, camera = Script(gated=True), Sink(), ScriptedCamera(20)
    assert script.gate is not None

    def prepared(number: int) -> Callable[[], None]:
        return lambda: wait_until(lambda: number in script.prepared, f"preparing {number}")

    # The model holds frame 0 all the while, and each other frame is prepared and then replaced: pictures that are not
    # given back would soon leave the camera without a cell.
    camera.at.update({n + 1: prepared(n) for n in range(20)})
    with make(camera, script, sink, "freshest", keep_image=True) as pipeline:
        assert script.began.acquire(timeout=PATIENCE_S)
        wait_until(lambda: camera.reads == 21, "the camera's end")
        script.gate.release(100)
        assert pipeline.wait(PATIENCE_S)
    assert_accounts(pipeline.stats())


def test_pictures_are_not_kept_unless_asked() -> None:
    sink = Sink()
    with make(ScriptedCamera(2), Script(), sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert [result.image for result in sink.results] == [None, None]


def test_times_are_of_the_given_clocks() -> None:
    ticks = iter(range(10_000))
    sink = Sink()
    with make(
        ScriptedCamera(1), Script(), sink, "every_frame", clock=lambda: float(next(ticks)), wall_clock=lambda: 1.7e9
    ) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    (result,) = sink.results
    assert result.wall_at == 1.7e9
    assert result.age_s > result.infer_s > 0
    assert result.age_s >= result.preprocess_s + result.infer_s


class WastefulCamera(SyntheticCamera):
    """A camera that ignores the array it is offered: the negative control of the allocation test."""

    def read(self, out: Array | None) -> Array | None:
        return super().read(None)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("keep_image", [False, True])
@pytest.mark.parametrize(("camera", "allocates"), [(SyntheticCamera, False), (WastefulCamera, True)])
def test_nothing_of_frame_size_is_allocated_once_warm(
    camera: type[SyntheticCamera], allocates: bool, keep_image: bool, policy: Policy
) -> None:
    width, height, frames, peaks = 320, 240, 120, []
    frame_bytes = width * height * 3

    def watch(result: FrameResult) -> None:
        if result.seq >= 60 and not tracemalloc.is_tracing():
            tracemalloc.start()
        elif tracemalloc.is_tracing():
            peaks.append(tracemalloc.get_traced_memory()[1])

    source = PacedCamera(camera(width=width, height=height, frames=frames), 500)
    try:
        with make(source, Script(infer_s=0.001), watch, policy, keep_image=keep_image) as pipeline:
            assert pipeline.wait(PATIENCE_S)
    finally:
        tracemalloc.stop()
    assert len(peaks) > 5
    assert (max(peaks) > frame_bytes) == allocates


def test_a_pipeline_that_was_never_started_closes_its_camera() -> None:
    camera = ScriptedCamera(3)
    stats = make(camera, Script(), Sink(), "every_frame").stop()
    assert (stats.captured, camera.closed) == (0, 1)


def test_the_interval_and_the_totals_are_told_apart() -> None:
    with make(ScriptedCamera(20), Script(), Sink(), "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
        assert pipeline.interval_stats().processed == 20
        assert pipeline.interval_stats().processed == 0
        assert pipeline.stats().processed == 20


def test_a_picture_of_another_size_takes_a_new_cell(caplog: pytest.LogCaptureFixture) -> None:
    class Growing(ScriptedCamera):
        def read(self, out: Array | None) -> Array | None:
            picture = super().read(out)
            if picture is None or self.reads < 3:
                return picture
            return np.concatenate([picture, picture])

    sink = Sink()
    with caplog.at_level(logging.WARNING), make(Growing(6), Script(), sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == list(range(6))
    assert not caplog.records
