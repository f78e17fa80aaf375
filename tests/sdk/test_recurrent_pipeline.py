"""A recurrent model in a pipeline: several cameras on one model, from files and live, answer as each does alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesdk
from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.delivery.process import ProcessDelivery
from edgesdk_targets.state import StateSpec
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import STREAM

pytest.importorskip("onnxruntime")
ONNX_ONLY = (("generic-onnx", Runtime.ONNXRUNTIME),)
FILMS = {name: np.random.default_rng(seed).integers(0, 256, (25, 6, 8, 3), np.uint8) for seed, name in enumerate("abc")}


class Film:
    """A camera that plays pictures."""

    def __init__(self, shown: Sequence[Array], *, live: bool) -> None:
        self._shown = iter(shown)
        self.info = CameraInfo(8, 6, 30.0, live, "film")

    def read(self, out: Array | None) -> Array | None:
        return next(self._shown, None)

    def close(self) -> None:
        pass


def answers(model: edgesdk.Model, names: str, *, live: bool) -> dict[str, list[Any]]:
    films = {name: Film(FILMS[name], live=live) for name in names}
    found: dict[str, list[Any]] = {name: [] for name in names}
    for frame in edgesdk.Pipeline(model, films, policy="every_frame"):
        found[frame.camera].append(frame.result.to_json())
    return found


@pytest.mark.parametrize("live", [False, True])
def test_cameras_together_answer_as_each_alone(tmp_path: Path, live: bool) -> None:
    with edgesdk.load(write_tiny_bundle(tmp_path / "s", STREAM, variants=ONNX_ONLY)) as model:
        alone = {name: [r.to_json() for r in model(list(FILMS[name]), camera=name)] for name in "abc"}
        model.reset()
        assert answers(model, "abc", live=live) == alone


def test_live_with_frames_dropped_it_answers_as_a_file_with_the_same_gaps(tmp_path: Path) -> None:
    seen: list[edgesdk.FrameResult] = []

    def slow(frame: edgesdk.FrameResult) -> None:
        seen.append(frame)
        if frame.seq > 5:
            time.sleep(0.02)

    with edgesdk.load(write_tiny_bundle(tmp_path / "s", STREAM, variants=ONNX_ONLY)) as model:
        film = [*FILMS["a"], *FILMS["b"], *FILMS["c"]]
        # At a camera's pace; the policy is a live camera's.
        with edgesdk.Pipeline(model, PacedCamera(Film(film, live=True), 200), on_result=slow) as pipeline:
            assert pipeline.policies == {"camera": "freshest"}
            assert pipeline.wait(60)
        (slot,) = model.slots(1)

        def again(camera: str, numbers: Sequence[int]) -> list[Any]:
            answers = []
            for seq, number in zip(numbers, [frame.seq for frame in seen], strict=True):
                slot.prepare(film[number])
                answer = slot.infer(camera, seq)
                assert answer is not None
                answers.append(answer.to_json())
            return answers

        told = [frame.result.to_json() for frame in seen]
        assert again("file", [frame.seq for frame in seen]) == told
        assert len(seen) < len(film)
        # Negative control: with the gaps unknown the state goes on over them.
        assert again("gaps unknown", range(len(seen))) != told


def test_with_one_state_for_all_they_would_not(tmp_path: Path) -> None:
    """Negative control: without `camera_change` the cameras' frames are one stream."""
    state = (StateSpec(input="before", output="after", reset=("gap",)),)
    with edgesdk.load(write_tiny_bundle(tmp_path / "s", STREAM, variants=ONNX_ONLY, state=state)) as model:
        alone = [r.to_json() for r in model(list(FILMS["a"]), camera="a")]
        model.reset()
        assert answers(model, "abc", live=False)["a"] != alone


def endless(model: edgesdk.Model, name: str = "camera") -> edgesdk.Pipeline:
    return edgesdk.Pipeline(model, "synthetic:?width=8&height=6", camera_name=name, on_result=lambda _: None)


def test_two_pipelines_do_not_feed_one_state(tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "s", STREAM, variants=ONNX_ONLY)
    with edgesdk.load(path) as model, edgesdk.load(path) as twin:
        with endless(model):
            second = endless(model)
            with pytest.raises(edgesdk.EdgeError, match=r"already serves a pipeline .* 'camera'"):
                second.start()
            with endless(model, "other"):
                pass
            with endless(twin) as third:
                with pytest.raises(edgesdk.EdgeError, match="already serves"):
                    third.swap_model(model)
                third.swap_model(third_model := edgesdk.load(path))
                with endless(twin):
                    pass
            third_model.close()
            second.request_stop()
        # The end gives the stream back, however it comes: stopped above, at the end of the film here, and a failed start.
        assert answers(model, "a", live=False)["a"]
        ended = edgesdk.Pipeline(model, Film(FILMS["a"], live=False), on_result=lambda _: None).start()
        assert ended.wait(20)
        refused = edgesdk.Pipeline(model, Film(FILMS["a"], live=False), on_result=ProcessDelivery("absent:hook"))
        with pytest.raises(edgesdk.EdgeError):
            refused.start()
        with endless(model) as last:
            last.swap_model(model)
        with endless(model):
            pass


def test_a_model_whose_frames_stand_alone_serves_several(tmp_path: Path) -> None:
    """Negative control of the refusal."""
    with edgesdk.load(write_tiny_bundle(tmp_path / "c", variants=ONNX_ONLY)) as model, endless(model), endless(model):
        pass
