from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_agent.cameras.camera import FrameLost
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.pipeline import Pipeline, Policy
from edgesdk_agent.pipeline.policy import POLICIES
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, accounted, assert_accounts, make, run_until
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

pytestmark = pytest.mark.alone


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
        assert pipeline.policies == {"camera": policy}
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
        run_until(pipeline, sink, stop_after)
    stats = accounted(pipeline, sink)
    assert sink.seqs == sorted(set(sink.seqs))
    assert stats.captured >= max(sink.seqs, default=-1) + 1
    # A result is of the very picture that its number says: losses shift the synthetic camera's own count.
    for _, seq, stamp in script.inferred:
        assert seq == stamp + len([n for n in lost if n < seq + 1])
    if policy == "every_frame":
        assert set(stats.dropped) <= {"unreadable"}
        assert sink.seqs == [seq for seq in range(stats.captured) if seq not in lost]


def test_a_source_without_a_pace_leaves_pythons_lock_to_those_who_take_its_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def captures_a_result() -> float:
        sink = Sink()
        with make(ScriptedCamera(None), Script(), sink, "freshest") as pipeline:
            wait_until(lambda: len(sink.results) >= 50, "results")
            stats = pipeline.stop(PATIENCE_S)
        assert_accounts(stats)
        return stats.captured / stats.processed

    # How many come to one result wavers with the machine's other load: each at its best of three.
    restrained = min(captures_a_result() for _ in range(3))
    # The negative control: one picture is written over the other until the lock is taken away.
    monkeypatch.setattr("edgesdk_agent.pipeline.capture_side._TOO_FAST_S", -1.0)
    assert max(captures_a_result() for _ in range(3)) > 2 * restrained


def test_a_lost_frame_is_a_gap_and_counted() -> None:
    camera, sink = ScriptedCamera(4), Sink()
    camera.at = {1: FrameLost("torn", cause="unreadable"), 3: FrameLost("back", cause="camera_lost")}
    with make(camera, Script(), sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == [0, 2, 4, 5]
    assert pipeline.stats().dropped == {"unreadable": 1, "camera_lost": 1}
    assert_accounts(pipeline.stats())


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
