from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk_targets.bundle.bundle import Bundle, open_bundle, write_bundle
from edgesdk_targets.errors import InputError, SessionFailed, WrongTarget
from edgesdk_targets.model import Model, load_model
from edgesdk_targets.results import Classification
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_testkit.tiny_bundles import LABELS, tiny_manifest, tiny_variant, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, MEAN, OPEN, PIXELS, STATE, STD, STREAM, TinyModel

pytest.importorskip("onnxruntime")
ONNX_ONLY = (("generic-onnx", Runtime.ONNXRUNTIME),)
RANDOM = np.random.default_rng(3)


def picture() -> Array:
    """Of the model's own size, so that preprocessing is arithmetic alone."""
    return RANDOM.integers(0, 256, (16, 16, 3), np.uint8)


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def scores(result: object) -> dict[str, float]:
    assert isinstance(result, Classification)
    return {LABELS[i]: float(s) for i, s in zip(result.class_ids, result.scores, strict=True)}


def expected(model: TinyModel, image: Array) -> dict[str, float]:
    pixels = image[None]
    normal = ((pixels.astype(np.float32) - MEAN) / STD).transpose(0, 3, 1, 2)
    answer = model.reference({"image": pixels if model.folded else normal})["logits"][0]
    return dict(zip(LABELS, softmax(answer), strict=True))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle", variants=ONNX_ONLY)


@pytest.mark.parametrize("source", [CNN, PIXELS], ids=lambda model: model.name)
def test_a_picture_in_a_result_out(tmp_path: Path, source: TinyModel) -> None:
    path = write_tiny_bundle(tmp_path / "a", source, variants=ONNX_ONLY)
    with load_model(path) as model:
        for _ in range(3):
            image = picture()
            assert scores(model(image)) == pytest.approx(expected(source, image), abs=1e-4)


def test_a_path_in_a_result_out(bundle: Path, tmp_path: Path) -> None:
    image = picture()
    cv2.imwrite(str(tmp_path / "p.png"), image)
    with load_model(str(bundle)) as model:
        assert scores(model(tmp_path / "p.png")) == pytest.approx(expected(CNN, image), abs=1e-4)
        with pytest.raises(InputError, match="absent"):
            model(tmp_path / "absent.png")


def test_an_opened_or_unpacked_bundle_is_taken(bundle: Path, tmp_path: Path) -> None:
    image = picture()
    with open_bundle(bundle) as opened:
        opened.unpack(tmp_path / "u")
        answers = [scores(load_model(place)(image)) for place in (opened, tmp_path / "u", bundle)]
    assert answers[0] == answers[1] == answers[2]


def test_every_runtime_answers_alike(tmp_path: Path) -> None:
    for package in ("openvino", "ai_edge_litert"):
        pytest.importorskip(package)
    path = write_tiny_bundle(tmp_path / "a")
    image = picture()
    answers = {}
    for target in ("x86-cpu", "rpi5", "generic-onnx"):
        with load_model(path, target=target, options=SessionOptions(threads=1)) as model:
            answers[model.runtime] = scores(model(image))
    assert len(answers) == 3
    for answer in answers.values():
        assert answer == pytest.approx(expected(CNN, image), abs=1e-4)


class TestSlots:
    def test_one_is_filled_while_another_runs(self, bundle: Path) -> None:
        model = load_model(bundle)
        slots = model.slots(2)
        images = [picture() for _ in range(40)]
        answers: list[dict[str, float]] = []
        full, free = threading.Semaphore(0), threading.Semaphore(2)

        def fill() -> None:
            for number, image in enumerate(images):
                free.acquire()
                slots[number % 2].prepare(image)
                full.release()

        thread = threading.Thread(target=fill)
        thread.start()
        for number in range(len(images)):
            full.acquire()
            answers.append(scores(slots[number % 2].infer("a", number)))
            free.release()
        thread.join()
        for image, answer in zip(images, answers, strict=True):
            assert answer == pytest.approx(expected(CNN, image), abs=1e-4)

    def test_boxes_and_scores_of_a_result_are_its_own(self, bundle: Path) -> None:
        """A result may be kept while the slot runs on."""
        model = load_model(bundle)
        image = picture()
        first = model(image)
        before = scores(first)
        model(picture())
        assert scores(first) == before


class TestState:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        return load_model(write_tiny_bundle(tmp_path / "s", STREAM, variants=ONNX_ONLY))

    def stream(self, images: list[Array]) -> list[Array]:
        """Numpy's answers for one camera's frames."""
        state = np.zeros((1, STATE), np.float32)
        answers = []
        for image in images:
            normal = ((image[:, :, 0].astype(np.float32) - MEAN) / STD)[None, None]
            out = STREAM.reference({"image": normal, "before": state})
            state = out["after"]
            answers.append(softmax(out["logits"][0]))
        return answers

    def images(self, count: int) -> list[Array]:
        """Gray pictures in three channels, of the model's size."""
        return [np.repeat(RANDOM.integers(0, 256, (6, 8, 1), np.uint8), 3, axis=2) for _ in range(count)]

    def check(self, result: Any, answer: Array) -> None:
        order = np.argsort(result.class_ids)
        np.testing.assert_allclose(result.scores[order], answer, atol=1e-4)

    def test_each_camera_has_its_own(self, model: Model) -> None:
        left, right = self.images(4), self.images(4)
        for a, b, expect_a, expect_b in zip(left, right, self.stream(left), self.stream(right), strict=True):
            self.check(model(a, camera="left"), expect_a)
            self.check(model(b, camera="right"), expect_b)

    def test_a_gap_starts_again(self, model: Model) -> None:
        frames = self.images(5)
        (slot,) = model.slots(1)
        answers = [*self.stream(frames[:3]), *self.stream(frames[3:])]
        for seq, frame, answer in zip((7, 8, 9, 12, 13), frames, answers, strict=True):
            slot.prepare(frame)
            self.check(slot.infer("a", seq), answer)

    def test_the_state_is_not_the_slots(self, model: Model) -> None:
        """Two slots by turns, as a pipeline has them: the state goes with the camera."""
        frames = self.images(6)
        slots = model.slots(2)
        for number, (frame, answer) in enumerate(zip(frames, self.stream(frames), strict=True)):
            slots[number % 2].prepare(frame)
            self.check(slots[number % 2].infer("a", number), answer)

    def test_it_can_be_forgotten(self, model: Model) -> None:
        frames = self.images(2)
        model(frames[0])
        model.reset()
        self.check(model(frames[1]), self.stream(frames[1:])[0])


class TestChoice:
    def broken(self, path: Path, *also: Runtime) -> Path:
        """A bundle whose first variant does not load."""
        first, _ = tiny_variant(CNN, "x86-cpu", Runtime.ONNXRUNTIME)
        made = [(first, dict.fromkeys(first.files.values(), b"no model"))]
        made += [tiny_variant(CNN, "generic-onnx", runtime) for runtime in also]
        files = {name: data for _, content in made for name, data in content.items()}
        write_bundle(path, tiny_manifest(CNN, [variant for variant, _ in made]), files)
        return path

    def test_a_variant_that_does_not_load_is_passed_over(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            model = load_model(self.broken(tmp_path / "a", Runtime.ONNXRUNTIME))
        assert model.variant.target == "generic-onnx"
        assert "x86-cpu-onnxruntime-fp32" in caplog.text

    def test_where_none_loads_the_first_ones_failure_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SessionFailed, match="ONNX Runtime could not load"):
            load_model(self.broken(tmp_path / "a"))

    def test_tensorrts_file_runs_on_onnx_runtime(self, tmp_path: Path) -> None:
        path = write_tiny_bundle(tmp_path / "a", variants=(("jetson-orin-nano", Runtime.TENSORRT),))
        image = picture()
        with load_model(path) as model:
            if model.runtime is Runtime.TENSORRT:
                pytest.skip("TensorRT is installed here")
            assert (model.variant.runtime, model.runtime) == (Runtime.TENSORRT, Runtime.ONNXRUNTIME)
            assert scores(model(image)) == pytest.approx(expected(CNN, image), abs=1e-4)

    def test_another_target_is_refused(self, bundle: Path) -> None:
        with pytest.raises(WrongTarget, match="rpi4"):
            load_model(bundle, target="rpi4")


class TestOverrides:
    def test_postprocess(self, bundle: Path) -> None:
        with load_model(bundle, postprocess={"top_k": 2}) as model:
            assert len(scores(model(picture()))) == 2
            assert model.manifest.postprocess.top_k == 2
        with load_model(bundle) as model:
            assert len(scores(model(picture()))) == 5

    @pytest.mark.parametrize("values", [{"top_k": 0}, {"score_threshold": 2}, {"topk": 3}])
    def test_a_wrong_one_is_named(self, bundle: Path, values: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=f"postprocess.{next(iter(values))}"):
            load_model(bundle, postprocess=values)


class TestRefused:
    def test_a_model_that_takes_no_picture(self, tmp_path: Path) -> None:
        path = write_tiny_bundle(tmp_path / "a", OPEN, variants=ONNX_ONLY, preprocess=None, task="embed")
        with pytest.raises(InputError, match="not one picture"):
            load_model(path)

    def test_a_stateful_model_whose_state_is_not_declared(self, tmp_path: Path) -> None:
        path = write_tiny_bundle(tmp_path / "a", STREAM, variants=ONNX_ONLY, state=())
        with pytest.raises(InputError, match="before"):
            load_model(path)

    @pytest.mark.parametrize(
        "image", [None, 5, np.zeros((4, 4), np.float32), [[1]]], ids=["none", "int", "float", "list"]
    )
    def test_what_is_no_picture(self, bundle: Path, image: Any) -> None:
        with load_model(bundle) as model, pytest.raises(InputError, match="picture"):
            model(image)

    def test_a_closed_model(self, bundle: Path) -> None:
        model = load_model(bundle)
        (slot,) = model.slots(1)
        model.close()
        slot.prepare(picture())
        for act in (lambda: model(picture()), lambda: slot.infer("a", 0), lambda: model.slots(1)):
            with pytest.raises(SessionFailed, match="closed"):
                act()


def test_a_bundle_given_open_stays_open(bundle: Path) -> None:
    with open_bundle(bundle) as opened:
        load_model(opened)
        assert isinstance(opened, Bundle)
        assert opened.variant_files(opened.manifest.variants[0])
