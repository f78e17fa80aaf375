"""A model that takes clips: the sample one, converted, on the conveyor, forwards, backwards and standing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesdk
from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.conveyor import load_digits
from edgesdk_agent.cameras.conveyor_scene import HEIGHT, WIDTH, ConveyorScene
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import BadBundle, InputError
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.tensor import Array
from edgesdk_targets.window import StreamWindows

pytest.importorskip("torch")
CARD = Path(__file__).resolve().parents[2] / "examples" / "digits" / "motion.yaml"
FRAMES, STRIDE, AT_REST = 8, 4, 5120  # after so many frames the belt is where it was, under other noise


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgesdk.convert(CARD, ["generic-onnx", "x86-cpu"], output=tmp_path_factory.mktemp("motion")).path


@pytest.fixture(scope="module")
def scene() -> ConveyorScene:
    return ConveyorScene(*load_digits(), seed=3)


def pictures(scene: ConveyorScene, indices: Sequence[int]) -> list[Array]:
    drawn = [np.empty((HEIGHT, WIDTH, 3), np.uint8) for _ in indices]
    for index, picture in zip(indices, drawn, strict=True):
        scene.draw(index, picture)
    return drawn


def labels(results: Sequence[Any]) -> list[str]:
    return [result.label for result in results]


def plain(results: Sequence[Any]) -> list[object]:
    return [result.to_json() for result in results]


@pytest.mark.parametrize("target", ["generic-onnx", "x86-cpu"])
def test_it_tells_the_direction_on_every_runtime(bundle: Path, scene: ConveyorScene, target: str) -> None:
    ways = {
        "left": range(700, 724),
        "right": range(724, 700, -1),
        "still": range(700, 700 + 24 * AT_REST, AT_REST),
    }
    with edgesdk.load(bundle, target=target) as model:
        for way, indices in ways.items():
            answers = model(pictures(scene, indices), camera=way)
            assert labels(answers) == [way] * (1 + (24 - FRAMES) // STRIDE), way


def test_frames_in_another_order_are_another_clip(bundle: Path, scene: ConveyorScene) -> None:
    """Negative control: what the model sees is the order."""
    with edgesdk.load(bundle) as model:
        forwards, backwards = pictures(scene, range(8)), pictures(scene, range(7, -1, -1))
        assert labels(model(forwards, camera="a") + model(backwards, camera="b")) == ["left", "right"]


class Film:
    """A camera that plays pictures, and loses those whose place is in `lost`."""

    def __init__(self, shown: Sequence[Array], *, live: bool) -> None:
        self._shown = iter(shown)
        self.info = CameraInfo(WIDTH, HEIGHT, 30.0, live, "film")

    def read(self, out: Array | None) -> Array | None:
        return next(self._shown, None)

    def close(self) -> None:
        pass


class TestPipeline:
    def run(self, model: edgesdk.Model, source: Any, **options: Any) -> tuple[list[edgesdk.FrameResult], Any]:
        frames: list[edgesdk.FrameResult] = []
        with edgesdk.Pipeline(model, source, on_result=frames.append, **options) as pipeline:
            pipeline.wait()
        return frames, pipeline.stats()

    @pytest.mark.parametrize("live", [False, True])
    def test_the_same_as_direct_calls(self, bundle: Path, scene: ConveyorScene, live: bool) -> None:
        """From a file and live, when every frame is taken: results at the same frames, with the same numbers."""
        shown = pictures(scene, [*range(30), *range(30, 0, -1)])
        with edgesdk.load(bundle) as model:
            direct = {seq: model.feed(picture, camera="direct") for seq, picture in enumerate(shown)}
            frames, stats = self.run(model, Film(shown, live=live), policy="every_frame", camera_name="p")
        due = {seq: result for seq, result in direct.items() if result is not None}
        assert list(due) == list(range(FRAMES - 1, 60, STRIDE))
        assert [frame.seq for frame in frames] == list(due)
        assert plain([frame.result for frame in frames]) == plain(list(due.values()))
        assert set(labels(due.values())) >= {"left", "right"}
        # What was taken into a clip only is counted as that, and nothing was lost.
        assert stats.dropped == {"windowed": 60 - len(due)}

    def test_every_frame_is_accounted_for(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model:
            frames, stats = self.run(model, "conveyor:?seed=3&frames=40&live=0")
        assert len(frames) == 1 + (40 - FRAMES) // STRIDE
        assert stats.captured == 40
        counted = stats.to_json()["frames"]
        assert counted["captured"] == counted["processed"] + sum(counted["dropped"].values()) + counted.get(
            "windowed", 0
        )

    def test_cameras_on_one_model_keep_their_own_clips(self, bundle: Path, scene: ConveyorScene) -> None:
        ways = {"left": range(100, 140), "right": range(140, 100, -1)}
        with edgesdk.load(bundle) as model:
            films = {way: Film(pictures(scene, indices), live=False) for way, indices in ways.items()}
            frames, _ = self.run(model, films)
        for way in ways:
            mine = [frame.result for frame in frames if frame.camera == way]
            assert labels(mine) == [way] * (1 + (40 - FRAMES) // STRIDE)


def test_a_gap_begins_a_new_clip(bundle: Path, scene: ConveyorScene) -> None:
    with edgesdk.load(bundle) as model:
        (slot,) = model.slots(1)
        due = []
        for seq in (*range(6), *range(9, 24)):
            slot.prepare(pictures(scene, [seq])[0])
            if slot.infer("a", seq) is not None:
                due.append(seq)
    # Never a clip with frames from both sides: the first is full eight frames behind the gap.
    assert due == [16, 20]


class TestGolden:
    def test_a_device_proves_itself_with_clips(self, bundle: Path) -> None:
        with open_bundle(bundle) as opened:
            for variant in opened.manifest.variants:
                with edgesdk.load(opened, variant=variant.id) as model:
                    report = check_golden(opened, model)
                assert report.passed, report.in_words()

    def test_one_that_mixes_up_the_frames_does_not(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Negative control: the ring is read from its newest frame on."""

        def wrong(self: StreamWindows, camera: str, clip: Array) -> None:
            ring = self._rings[self._key(camera)]
            for number in range(len(ring)):
                np.copyto(self._spec.place(clip, number), ring[-1 - number])

        monkeypatch.setattr(StreamWindows, "write", wrong)
        with open_bundle(bundle) as opened, edgesdk.load(opened, target="generic-onnx") as model:
            report = check_golden(opened, model)
        assert report.first_divergence is not None
        assert report.first_divergence.stage == "end to end"


class TestRefused:
    def test_one_picture_alone(self, bundle: Path) -> None:
        with edgesdk.load(bundle) as model, pytest.raises(InputError, match="clips of 8 pictures"):
            model(np.zeros((4, 4, 3), np.uint8))

    def test_in_a_chain(self, bundle: Path, digits_bundle: Path) -> None:
        detector, motion = edgesdk.load(digits_bundle), edgesdk.load(bundle)
        with pytest.raises(InputError, match="frame to frame"):
            edgesdk.Chain(detector, motion)

    def test_int8(self, bundle: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="clips"):
            edgesdk.convert(CARD, "x86-cpu", output=tmp_path, precision="int8", calib_data=tmp_path)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda d: d.update(window={"frames": 5}), "5 frames"),
            (lambda d: d.update(window=None, input={**d["input"], "shape": (1, 8, 1, 48, 64)}), None),
            (lambda d: d.pop("preprocess"), "preprocess"),
        ],
    )
    def test_a_card_that_contradicts_itself(self, change: Callable[[Any], None], says: str | None) -> None:
        import yaml

        data = yaml.safe_load(CARD.read_text("utf-8"))
        change(data)
        if says is None:
            ModelCard.model_validate(data)  # a model of five dimensions may still be one that takes no clip
        else:
            with pytest.raises(ValueError, match=says):
                ModelCard.model_validate(data)

    def test_a_damaged_manifest(self, bundle: Path) -> None:
        with open_bundle(bundle) as opened:
            manifest = opened.manifest
        assert manifest.window is not None
        wrong = manifest.model_copy(update={"window": manifest.window.model_copy(update={"frames": 7})})
        with pytest.raises(BadBundle, match="window"):
            type(manifest).from_bytes(wrong.to_bytes())
