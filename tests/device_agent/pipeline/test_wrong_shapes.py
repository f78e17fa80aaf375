"""Cameras, stages and slots that give something of another shape than they promised: a clear error, or counted and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.embedding import Pipeline
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_targets.model import load_model
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import Sink, assert_accounts
from edgesdk_testkit.slots import PATIENCE_S
from edgesdk_testkit.tiny_bundles import write_tiny_bundle


def broken_slots() -> dict[str, tuple[Callable[[Pipeline], None], str]]:
    def wrong_input(pipeline: Pipeline) -> None:
        for cell in pipeline._handover._model.free:
            cell.slot._image = np.zeros((1, 3, 5, 5), np.float32)  # type: ignore[attr-defined]

    def wrong_answer(pipeline: Pipeline) -> None:
        for cell in pipeline._handover._model.free:
            cell.slot._binding = type("Wrong", (), {"run": lambda _: {}})()  # type: ignore[attr-defined]

    return {
        "a preprocessed picture": (wrong_input, r"shapes .*\(5,5\)"),
        "an answer": (wrong_answer, "KeyError: 'logits'"),
    }


@pytest.mark.parametrize("stage", broken_slots())
def test_a_slot_that_breaks_its_word_ends_the_pipeline_and_says_what_came_up(tmp_path: Path, stage: str) -> None:
    breaks, says = broken_slots()[stage]
    with load_model(write_tiny_bundle(tmp_path / "a")) as model:
        pipeline = Pipeline(model, SyntheticCamera(width=64, height=48), on_result=Sink())
        breaks(pipeline)
        pipeline.start()
        for end in (pipeline.wait, pipeline.stop):
            with pytest.raises(SessionFailed, match=f"The pipeline stopped: .*{says}") as caught:
                end(PATIENCE_S)
            assert "--debug" in caught.value.hint
    assert pipeline.stats().dropped["failed"] >= 1
    assert_accounts(pipeline.stats())


class Giving(SyntheticCamera):
    """Gives something else than it should."""

    def __init__(self, given: object) -> None:
        super().__init__(width=64, height=48, frames=5)
        self._given = given

    def read(self, out: Array | None) -> Array | None:
        return None if super().read(out) is None else self._given  # type: ignore[return-value]


WRONG_PICTURES = {
    "floats": (np.zeros((48, 64, 3), np.float32), "must be a numpy array of uint8, not float32"),
    "four channels": (np.zeros((48, 64, 4), np.uint8), r"must be \(H, W\) or \(H, W, 3\), not \[48, 64, 4\]"),
    "no array": ([1, 2], "must be a numpy array of uint8, not list"),
    "nothing": (np.zeros((0, 0, 3), np.uint8), "The picture is empty"),
}


@pytest.mark.parametrize("kind", WRONG_PICTURES)
def test_a_camera_that_gives_no_picture_is_told_what_one_is(tmp_path: Path, kind: str) -> None:
    given, says = WRONG_PICTURES[kind]
    with load_model(write_tiny_bundle(tmp_path / "a")) as model:
        pipeline = Pipeline(model, Giving(given), on_result=Sink())
        with pytest.raises(InputError, match=says), pipeline:
            pipeline.wait(PATIENCE_S)
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize(
    ("given", "says"),
    [(np.zeros((5, 5), np.uint8), "it returned [5, 5] uint8"), ("x", "it returned a str")],
    ids=["a small one", "text"],
)
def test_a_stage_that_returns_no_picture_lets_nothing_through_and_is_told(
    tmp_path: Path, given: object, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink()
    with load_model(write_tiny_bundle(tmp_path / "a")) as model:
        camera = SyntheticCamera(width=64, height=48, frames=5)
        with Pipeline(model, camera, on_result=sink, on_frame=lambda _: given) as pipeline:  # type: ignore[arg-type,return-value]
            assert pipeline.wait(PATIENCE_S)
    assert pipeline.stats().dropped == {"filter_failed": 5}
    assert sink.results == []
    assert f"{says}, not a picture (H, W, 3) uint8" in caplog.text
