"""Embeddings and estimated numbers: their datasets, figures, and gates."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.evaluate import evaluate
from edgesdk.evaluate.figure_names import FIGURE_NAMES
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk.evaluate.vectors import nearest_is_right, unit_vectors
from edgesdk.layouts.samples import ClassSample, ValueSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Embedding, Regression, Result
from edgesdk_targets.tensor import Array
from edgesdk_testkit.coloured_models import colour_predictor, write_colours


def numbered(folder: Path, names: list[str]) -> None:
    """Write pictures of noise whose first pixel is their number."""
    rng = np.random.default_rng(0)
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
        image[0, 0] = i
        cv2.imwrite(str(folder / name), image)


def number(image: Array) -> int:
    return int(image[0, 0, 0])


class TestEmbeddings:
    def test_the_nearest_other_picture_decides(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png"])
        vectors = np.asarray([[1, 0.1], [1, 0], [1, 0.5], [1, -0.1]], np.float32)
        dataset = open_dataset(tmp_path, task="embed", labels=())
        assert dataset.labels == ("cat", "dog")
        card = evaluate(lambda image: Embedding(vectors[number(image)]), dataset)
        assert card.metrics["retrieval_top1"].value == 0.5
        assert tuple(card.metrics) == FIGURE_NAMES["embed"]
        assert card.by_class == {"cat": 1.0, "dog": 0.0}

    def test_pictures_of_the_same_group_are_not_asked(self) -> None:
        vectors = unit_vectors([np.asarray(v, float) for v in ([1, 0], [1, 0.01], [0, 1], [0.1, 1])])
        classes = np.asarray([0, 0, 1, 1])
        assert nearest_is_right(vectors, classes, np.arange(4)).all()
        assert nearest_is_right(vectors, classes, np.asarray([0, 0, 1, 2])).tolist() == [False, False, True, True]

    def test_a_class_with_one_picture_is_told(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["cat/0.png", "cat/1.png", "dog/2.png"])
        dataset = open_dataset(tmp_path, task="embed", labels=())
        card = evaluate(lambda image: Embedding(np.asarray([1, number(image)], np.float32)), dataset)
        assert "Only one independent picture of dog" in card.warnings[0]

    def test_one_class_is_no_dataset(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["cat/0.png", "cat/1.png"])
        with pytest.raises(InputError, match="one class"):
            evaluate(lambda _: Embedding(np.ones(2, np.float32)), open_dataset(tmp_path, task="embed", labels=()))

    def test_a_table_with_labels_of_its_own(self, tmp_path: Path) -> None:
        write_colours(tmp_path, 30)
        dataset = open_dataset(tmp_path, task="embed", labels=())
        assert set(dataset.labels) <= {"red", "green", "blue", "olive", "purple", "teal"}
        assert all(isinstance(sample, ClassSample) for sample in dataset.samples)

    def test_no_numbers(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["cat/0.png", "dog/1.png"])
        with pytest.raises(InputError, match="NaN"):
            evaluate(
                lambda _: Embedding(np.full(2, np.nan, np.float32)), open_dataset(tmp_path, task="embed", labels=())
            )

    def test_the_gate(self, tmp_path: Path) -> None:
        write_colours(tmp_path, 400)
        gate = AccuracyGate(open_dataset(tmp_path, task="embed", labels=()))
        reference = colour_predictor(task="embed")
        assert gate.judge("same", reference, colour_predictor(task="embed")).passed
        # One of three features is dead.
        dead = colour_predictor(lambda v: v * np.asarray([1, 0, 1]), task="embed")
        verdict = gate.judge("dead", reference, dead)
        assert verdict.outcome == "fail"
        assert "retrieval_top1 fell by" in verdict.reason


def values_dataset(folder: Path, count: int = 320, *, header: str = "x,y,z", shift: int = 0) -> Dataset:
    """Write pictures of colours with their own mean colour, in the model's units and with noise, as true numbers."""
    write_colours(folder, count)
    model, rng, rows = colour_predictor(task="regress"), np.random.default_rng(1), []
    for i in range(count):
        image = cv2.imread(str(folder / "images" / f"{(i + shift) % count:04d}.png"))
        result = model(image)
        assert isinstance(result, Regression)
        noisy = result.values + rng.normal(0, 0.05, 3)
        rows.append(f"{i:04d}.png," + ",".join(f"{value:.4f}" for value in noisy))
    (folder / "labels.csv").write_text(f"file,{header}\n" + "\n".join(rows) + "\n")
    return open_dataset(folder, task="regress", labels=())


class TestValues:
    def test_the_mean_absolute_error(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["0.png", "1.png", "2.png"])
        (tmp_path / "labels.csv").write_text("file,age,group\n0.png,10,a\n1.png,20,b\n2.png,30,c\n")
        dataset = open_dataset(tmp_path, task="regress", labels=())
        assert [s.values for s in dataset.samples if isinstance(s, ValueSample)] == [(10,), (20,), (30,)]
        card = evaluate(lambda image: Regression(np.asarray([10 + 10 * number(image) + 3], np.float32)), dataset)
        assert card.metrics["mae"].value == pytest.approx(3)
        assert tuple(card.metrics) == FIGURE_NAMES["regress"]
        # The median's own error is 20 / 3.
        assert card.metrics["relative_error"].value == pytest.approx(0.45)
        assert card.by_class == {"age": pytest.approx(3)}

    def test_columns_are_found_by_the_models_labels(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["0.png"])
        (tmp_path / "labels.csv").write_text("file,Height,note,width\n0.png,2,x,1\n")
        dataset = open_dataset(tmp_path, task="regress", labels=("width", "height"))
        assert [s.values for s in dataset.samples if isinstance(s, ValueSample)] == [(1, 2)]

    @pytest.mark.parametrize(
        ("table", "labels", "says"),
        [
            ("file,x\n0.png,1\n", ("x", "y"), "no column for y"),
            ("file\n0.png\n", (), "no column of numbers"),
            ("file,x\n0.png,tall\n", (), "'tall' is no number"),
            ("file,x\n0.png,nan\n", (), "'nan' is no number"),
            ("file,x\n0.png,\n", (), r"labels.csv:2: file or x is missing"),
        ],
    )
    def test_tables_that_are_wrong(self, tmp_path: Path, table: str, labels: tuple[str, ...], says: str) -> None:
        numbered(tmp_path, ["0.png"])
        (tmp_path / "labels.csv").write_text(table)
        with pytest.raises(InputError, match=says):
            open_dataset(tmp_path, task="regress", labels=labels)

    def test_labels_of_another_length(self, tmp_path: Path) -> None:
        dataset = values_dataset(tmp_path, 12)

        def two(image: Array) -> Result:
            return Regression(np.zeros(2, np.float32))

        with pytest.raises(InputError, match="estimates 2 numbers, but each picture is labelled with 3"):
            evaluate(two, dataset)

    def test_labels_that_are_all_alike(self, tmp_path: Path) -> None:
        numbered(tmp_path, ["0.png", "1.png"])
        (tmp_path / "labels.csv").write_text("file,x\n0.png,5\n1.png,5\n")
        dataset = open_dataset(tmp_path, task="regress", labels=())
        card = evaluate(lambda _: Regression(np.full(1, 5, np.float32)), dataset)
        assert "same number" in card.warnings[0]
        with pytest.raises(InputError, match="All labels of a number are the same"):
            AccuracyGate(dataset).judge("a", lambda _: Regression(np.ones(1)), lambda _: Regression(np.ones(1)))

    def test_the_gate(self, tmp_path: Path) -> None:
        gate = AccuracyGate(values_dataset(tmp_path))
        reference = colour_predictor(task="regress")
        assert gate.judge("same", reference, colour_predictor(task="regress")).passed
        biased = colour_predictor(lambda v: v + 0.1, task="regress")
        verdict = gate.judge("biased", reference, biased)
        assert verdict.outcome == "fail"
        assert "relative_error rose by" in verdict.reason
        nan = gate.judge("nan", reference, colour_predictor(lambda v: v * np.nan, task="regress"))
        assert (nan.outcome, nan.reason) == ("fail", "320 of 320 answers are no numbers (NaN).")

    def test_labels_that_slipped(self, tmp_path: Path) -> None:
        gate = AccuracyGate(values_dataset(tmp_path, shift=1))
        verdict = gate.judge("same", colour_predictor(task="regress"), colour_predictor(task="regress"))
        assert verdict.outcome == "fail"
        assert "labels do not belong" in verdict.reason
