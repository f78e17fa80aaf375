from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.embedding import Pipeline as ModelPipeline
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.policy import POLICIES, Policy, slots_wanted
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_targets.model import load_model
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until
from edgesdk_testkit.tiny_bundles import write_tiny_bundle


@pytest.mark.parametrize("policy", POLICIES)
def test_another_model_takes_over_between_two_frames(policy: Policy) -> None:
    old, new, sink = Script(infer_s=0.002), Script(infer_s=0.001), Sink()
    camera = PacedCamera(ScriptedCamera(None), 500)
    with make(camera, old, sink, policy) as pipeline:
        wait_until(lambda: len(old.inferred) >= 5, "results of the old model")
        pipeline.swap_slots(new.slots(slots_wanted((policy,))), PATIENCE_S)
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
        swaps = [threading.Thread(target=pipeline.swap_slots, args=(s.slots(2), PATIENCE_S)) for s in scripts[1:]]
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
            pipeline.swap_slots(new.slots(2), timeout_s=0.05)
        old.gate.release(100)
        wait_until(lambda: bool(new.inferred), "the new model's first result")
    assert sink.seqs == list(range(pipeline.stats().captured))


def test_a_swap_after_the_end_changes_nothing() -> None:
    new = Script()
    with make(ScriptedCamera(3), Script(), Sink(), "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
        pipeline.swap_slots(new.slots(2), PATIENCE_S)
    assert new.inferred == []


def test_a_swap_that_is_refused_was_told_to_nobody(tmp_path: Path) -> None:
    told: list[object] = []
    refused: list[int] = []

    def swaps(result: FrameResult) -> None:
        with pytest.raises(InputError, match="wait for itself"):
            pipeline.swap(other)
        refused.append(result.seq)

    path = write_tiny_bundle(tmp_path / "a")
    with load_model(path) as model, load_model(path) as other:
        pipeline = ModelPipeline(model, ScriptedCamera(3), on_result=swaps)
        pipeline.on_model = told.append
        with pipeline:
            assert pipeline.wait(PATIENCE_S)
    assert (told, refused) == ([], [0, 1, 2])


def test_what_is_no_loaded_model_is_refused_before_a_camera_is_opened(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "a.edgebundle")
    for given in (str(path), path, None):
        with pytest.raises(InputError, match="is no loaded model") as refused:
            ModelPipeline(given, "absent.mp4")  # type: ignore[arg-type]
        assert "edgesdk.load" in refused.value.hint
    with (
        load_model(path) as model,
        ModelPipeline(model, ScriptedCamera(None), on_result=Sink()) as pipeline,
        pytest.raises(InputError, match="is no loaded model"),
    ):
        pipeline.swap(path)  # type: ignore[arg-type]
