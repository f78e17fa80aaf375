"""The committed sample models: no test image was trained on, they load as their cards say, and they are good enough."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from edgesdk_agent.cameras.conveyor import load_digits

torch = pytest.importorskip("torch", reason="the sample models are trained and defined in PyTorch")
safetensors = pytest.importorskip("safetensors.torch")
pytest.importorskip("sklearn", reason="the sample models are trained on scikit-learn's digits")

FOLDER = Path(__file__).parents[2] / "examples" / "digits"
NAMES = ("detector", "classifier", "row_reader", "row_reader_stream", "motion")
MAX_BYTES = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def example_path() -> Iterator[None]:
    """Put the example's folder on the path, as the converter does for a card's factory, and clean up behind it."""
    sys.path.insert(0, str(FOLDER))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    sys.path.remove(str(FOLDER))
    for name, module in list(sys.modules.items()):
        if str(FOLDER) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def example(name: str) -> ModuleType:
    return importlib.import_module(name)


def card(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def trained(name: str) -> Any:
    """Build a sample model as its card says."""
    module, factory = card(name)["factory"].split(":")
    model = getattr(example(module), factory)()
    model.load_state_dict(safetensors.load_file(FOLDER / card(name)["source"]), strict=True)
    return model.eval()


def picture(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


def held_out() -> Any:
    return example("make_data").Digits(*load_digits())


class TestSplit:
    def test_no_image_is_on_both_sides(self) -> None:
        data = example("make_data")
        train = {data.content_hash(image) for image in data.train_split().images}
        test = {data.content_hash(image) for image in load_digits()[0]}
        assert not train & test
        assert (len(train), len(test)) == (1258, 539)

    def test_committed_file_is_what_the_script_makes(self) -> None:
        data = example("make_data")
        test = data.split(data.load_all())[1]
        images, labels = load_digits()
        assert np.array_equal(images, test.images)
        assert np.array_equal(labels, test.labels)

    def test_every_class_has_its_share(self) -> None:
        counts = np.bincount(load_digits()[1], minlength=10)
        assert counts.min() >= 52
        assert counts.max() <= 56

    def test_equal_images_fall_on_one_side(self) -> None:
        data = example("make_data")
        digits = data.load_all()
        twice = data.Digits(np.repeat(digits.images, 2, axis=0), np.repeat(digits.labels, 2))
        # A copy with a wrong label must follow its image too.
        twice.labels[1::40] = (twice.labels[1::40] + 1) % 10
        sides = [{data.content_hash(image) for image in part.images} for part in data.split(twice)]
        assert not sides[0] & sides[1]
        assert len(sides[0]) + len(sides[1]) == 1797


class TestFiles:
    def test_weights_are_small(self) -> None:
        sizes = {path.stem: path.stat().st_size for path in (FOLDER / "weights").iterdir()}
        assert set(sizes) == set(NAMES)
        assert sum(sizes.values()) < MAX_BYTES

    @pytest.mark.parametrize("name", NAMES)
    def test_card_fits_its_model(self, name: str) -> None:
        fields, model = card(name), trained(name)
        assert not any(parameter.isnan().any() for parameter in model.parameters())
        states = [torch.zeros(state["shape"]) for state in fields.get("state", [])]
        with torch.inference_mode():
            outputs = model(torch.zeros(fields["input"]["shape"]), *states)
        shapes = [list(output.shape) for output in (outputs if isinstance(outputs, tuple) else (outputs,))]
        wanted = {
            "detector": [[1, 768, 4], [1, 768, 10]],
            "classifier": [[1, 10]],
            "row_reader": [[1, 20, 11]],
            "row_reader_stream": [[1, 1, 11], [1, 1, 80], [1, 1, 32, 16]],
            "motion": [[1, 3]],
        }
        assert shapes == wanted[name]
        if name == "motion":
            assert fields["labels"] == list(example("train_motion").LABELS)
        else:
            assert (FOLDER / fields["labels"]).read_text(encoding="utf-8").split() == list("0123456789")

    def test_weights_of_another_model_are_refused(self) -> None:
        weights = safetensors.load_file(FOLDER / card("classifier")["source"])
        with pytest.raises(RuntimeError, match="Missing key"):
            example("digits_models").row_reader().load_state_dict(weights, strict=True)


class TestStreaming:
    def test_strip_after_strip_equals_the_whole(self) -> None:
        model = trained("row_reader_stream")
        image = torch.rand((1, 1, 32, 8 * 30), generator=torch.Generator().manual_seed(3))
        states: list[Any] = [torch.zeros(state["shape"]) for state in card("row_reader_stream")["state"]]
        parts = []
        with torch.inference_mode():
            whole = model.sequence(image)
            for left in range(0, image.shape[3], 8):
                logits, *states = model(image[..., left : left + 8], *states)
                parts.append(logits)
        assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)

    def test_what_comes_later_changes_nothing_before(self) -> None:
        model = trained("row_reader_stream")
        image = torch.rand((1, 1, 32, 8 * 10), generator=torch.Generator().manual_seed(4))
        other = image.clone()
        other[..., 8 * 6 :] = 0
        with torch.inference_mode():
            one, two = model.sequence(image), model.sequence(other)
        assert torch.allclose(one[:, :6], two[:, :6], atol=1e-6)
        assert not torch.allclose(one[:, 6:], two[:, 6:], atol=1e-2)

    def test_without_its_state_it_cannot_read(self) -> None:
        readers = example("train_readers")
        model = trained("row_reader_stream")
        forward = model.forward
        model.forward = lambda image, h, seen: forward(image, torch.zeros_like(h), torch.zeros_like(seen))
        assert readers.evaluate_stream(model, held_out(), rows=40) < 0.3


class TestQuality:
    def test_detector(self) -> None:
        counts = example("train_detector").evaluate(trained("detector"), held_out(), seeds=range(200, 202), frames=80)
        assert counts.hits + counts.missed > 800
        assert counts.precision >= 0.97
        assert counts.recall >= 0.97

    def test_detector_finds_nothing_on_a_bare_belt(self) -> None:
        scenes = example("edgesdk_agent.cameras.conveyor_scene")
        scene = scenes.ConveyorScene(*load_digits(), seed=9, density=0.0)
        frame, inputs = (
            np.zeros((scenes.HEIGHT, scenes.WIDTH, 3), np.uint8),
            example("digits_inputs").Inputs("detector"),
        )
        model = trained("detector")
        for index in range(0, 1600, 80):
            scene.draw(index, frame)
            with torch.inference_mode():
                assert float(model(inputs.batch([frame]))[1].max()) < 0.5

    def test_classifier(self) -> None:
        accuracy = example("train_classifier").evaluate(trained("classifier"), held_out(), seed=200, pictures=1000)
        assert accuracy >= 0.97

    def test_row_reader(self) -> None:
        assert example("train_readers").evaluate(trained("row_reader"), held_out(), seed=200, rows=400) >= 0.95

    def test_row_reader_stream(self) -> None:
        model = trained("row_reader_stream")
        assert example("train_readers").evaluate_stream(model, held_out(), seed=200, rows=400) >= 0.95

    def test_motion(self) -> None:
        assert example("train_motion").evaluate(trained("motion"), held_out(), seed=200, clips=150) >= 0.95

    def test_untrained_models_fail_these_floors(self) -> None:
        torch.manual_seed(0)
        models = example("digits_models")
        detector = models.detector().eval()
        counts = example("train_detector").evaluate(detector, held_out(), seeds=range(1), frames=3)
        assert counts.recall < 0.1
        assert example("train_motion").evaluate(models.motion().eval(), held_out(), clips=30) < 0.7
        assert example("train_classifier").evaluate(models.classifier().eval(), held_out(), pictures=200) < 0.3
        assert example("train_readers").evaluate(models.row_reader().eval(), held_out(), rows=20) == 0


class TestEvaluationSets:
    def test_detector_set_in_yolo_form(self, tmp_path: Path) -> None:
        example("render_eval").render_detector(held_out(), tmp_path, 3, 1)
        images, labels = sorted((tmp_path / "images").iterdir()), sorted((tmp_path / "labels").iterdir())
        assert [path.stem for path in images] == [path.stem for path in labels] == ["0000", "0001", "0002"]
        assert picture(images[0]).shape == (240, 320, 3)
        rows = [line.split() for line in labels[0].read_text().splitlines()]
        truth = example("edgesdk_agent.cameras.conveyor_scene").ConveyorScene(*load_digits(), seed=1).truth(0)
        assert [int(row[0]) for row in rows] == truth.labels.tolist()
        centre_x, _, width, _ = (float(value) for value in rows[0][1:])
        assert [(centre_x - width / 2) * 320, (centre_x + width / 2) * 320] == pytest.approx(truth.boxes[0, 0::2])

    def test_classifier_set_in_class_folders(self, tmp_path: Path) -> None:
        example("render_eval").render_classifier(held_out(), tmp_path, 60, 1)
        assert {path.name for path in tmp_path.iterdir()} <= set("0123456789")
        assert len(list(tmp_path.glob("*/*.png"))) == 60

    def test_row_sets_with_texts(self, tmp_path: Path) -> None:
        render = example("render_eval")
        render.render_row_reader(held_out(), tmp_path / "rows", 3, 1)
        render.render_row_reader_stream(held_out(), tmp_path / "clips", 3, 1)
        tables = []
        for folder, column in (("rows", "file"), ("clips", "folder")):
            with (tmp_path / folder / "labels.csv").open(encoding="utf-8", newline="") as file:
                tables.append(list(csv.DictReader(file)))
            assert all((tmp_path / folder / line[column]).exists() for line in tables[-1])
        # Same seed, same rows: the strips of a clip are the picture of the whole.
        assert [line["text"] for line in tables[0]] == [line["text"] for line in tables[1]]
        strips = sorted((tmp_path / "clips" / tables[1][0]["folder"]).iterdir())
        joined = np.hstack([picture(path) for path in strips])
        assert np.array_equal(joined, picture(tmp_path / "rows" / tables[0][0]["file"]))

    def test_same_seed_same_pictures(self, tmp_path: Path) -> None:
        for folder in ("one", "two"):
            example("render_eval").render_row_reader(held_out(), tmp_path / folder, 2, 5)
        first, second = (sorted((tmp_path / folder).rglob("*.*")) for folder in ("one", "two"))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
