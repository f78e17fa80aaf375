"""The scorecard of a model on labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edgesdk.evaluate.answers import each_alone
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.evaluate import evaluate
from edgesdk.evaluate.figure_names import FIGURE_NAMES
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification, Detections, Result, Text
from edgesdk_targets.tensor import Array

LABELS = ("cat", "dog", "owl")


def pictures(folder: Path, names: list[str]) -> None:
    """Write pictures of 80x40 whose brightness is their number."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((40, 80, 3), i, np.uint8))


def number(image: Array) -> int:
    return int(image[0, 0, 0])


def classified(class_id: int) -> Classification:
    return Classification(np.asarray([class_id]), np.ones(1, np.float32), LABELS)


def text_dataset(folder: Path, texts: list[str]) -> Dataset:
    names = [f"{i}.png" for i in range(len(texts))]
    pictures(folder, names)
    lines = [f"{name},{text}" for name, text in zip(names, texts, strict=True)]
    (folder / "labels.csv").write_text("file,text\n" + "\n".join(lines) + "\n", "utf-8")
    return open_dataset(folder, task="text", labels=())


def test_top1(tmp_path: Path) -> None:
    pictures(tmp_path, ["cat/0.png", "cat/1.png", "dog/2.png", "owl/3.png"])
    seen: list[tuple[int, int]] = []
    answers = {0: 0, 1: 1, 2: 1, 3: 2}
    card = evaluate(
        lambda image: classified(answers[number(image)]),
        open_dataset(tmp_path, task="classify", labels=LABELS),
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (card.metrics["top1"].value, card.metrics["top1"].n) == (0.75, 4)
    assert tuple(card.metrics) == FIGURE_NAMES["classify"]
    assert card.by_class == {"cat": 0.5, "dog": 1.0, "owl": 1.0}
    assert "are 4 independent samples" in card.warnings[-1]
    document = json.loads(json.dumps(card.to_json()))
    assert set(document) >= {"task", "metrics", "verdict"}
    assert set(document["metrics"]["top1"]) == {"value", "low", "high", "n"}


def test_ap50_in_the_pictures_own_pixels(tmp_path: Path) -> None:
    """Labels are fractions, detections are pixels of an 80x40 picture."""
    pictures(tmp_path, ["images/0.png", "images/1.png"])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "labels" / "1.txt").write_text("2 0.25 0.25 0.5 0.5\n")

    def predict(image: Array) -> Result:
        box, class_id = ([20, 10, 60, 30], 1) if number(image) == 0 else ([0, 0, 19, 20], 2)
        return Detections(np.asarray([box], np.float32), np.ones(1, np.float32), np.asarray([class_id]), LABELS)

    card = evaluate(predict, open_dataset(tmp_path, task="detect", labels=LABELS))
    assert card.by_class == {"dog": pytest.approx(1.0), "owl": 0.0}
    assert tuple(card.metrics) == FIGURE_NAMES["detect"]
    metric = card.metrics["ap50"]
    assert metric.value == pytest.approx(0.5)
    assert (metric.low, metric.high, metric.n) == (pytest.approx(0.0, abs=1e-6), pytest.approx(1.0), 2)


def test_a_dataset_without_boxes(tmp_path: Path) -> None:
    pictures(tmp_path, ["images/0.png"])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text("")
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int), LABELS)
    with pytest.raises(InputError, match="no boxes"):
        evaluate(lambda _: nothing, open_dataset(tmp_path, task="detect", labels=LABELS))


def test_texts(tmp_path: Path) -> None:
    dataset = text_dataset(tmp_path, ["Hello", "World", "abc", "x"])
    read = ["hello", "World", "ab", ""]
    card = evaluate(lambda image: Text(read[number(image)], 1.0), dataset)
    # One letter changed, none, one missing, one missing; fourteen letters.
    assert card.metrics["cer"].value == pytest.approx(3 / 14)
    assert card.metrics["cer"].low <= 3 / 14 <= card.metrics["cer"].high
    assert card.metrics["word_accuracy"].value == 0.25
    assert card.metrics["word_accuracy_ignoring_case"].value == 0.5
    assert tuple(card.metrics) == FIGURE_NAMES["text"]


def test_texts_that_are_all_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a character"):
        evaluate(lambda _: Text("", 0.0), text_dataset(tmp_path, ['""', '""']))


def test_a_model_of_another_task(tmp_path: Path) -> None:
    pictures(tmp_path, ["cat/0.png"])
    dataset = open_dataset(tmp_path, task="classify", labels=LABELS)
    with pytest.raises(InputError, match="answers with text, but the dataset is for classify"):
        evaluate(lambda _: Text("x", 1.0), dataset)


def test_a_picture_that_is_none(tmp_path: Path) -> None:
    pictures(tmp_path, ["cat/0.png"])
    (tmp_path / "cat" / "1.png").write_bytes(b"no picture")
    dataset = open_dataset(tmp_path, task="classify", labels=LABELS)
    with pytest.raises(InputError, match=r"1\.png"):
        evaluate(lambda _: classified(0), dataset)


def test_what_lies_beside_the_table_is_said(tmp_path: Path) -> None:
    dataset = text_dataset(tmp_path, ["a", "b"])
    pictures(tmp_path, ["unlisted.png"])
    dataset = open_dataset(tmp_path, task="text", labels=())
    assert any(
        "1 picture beside it is not listed" in text for text in evaluate(lambda _: Text("a", 1.0), dataset).warnings
    )


@pytest.mark.parametrize("state", [True, False])
def test_a_model_with_state_begins_anew_for_each_picture(state: bool) -> None:
    class Streaming:
        """Counts the pictures since it was reset."""

        manifest = SimpleNamespace(state=(("in", "out"),) if state else ())
        seen = 0

        def reset(self) -> None:
            self.seen = 0

        def __call__(self, _image: Array) -> Text:
            self.seen += 1
            return Text(str(self.seen), 1.0)

    predict = each_alone(cast("Any", Streaming()))
    answers = [cast("Text", predict(np.zeros((2, 2, 3), np.uint8))).text for _ in range(3)]
    assert answers == (["1", "1", "1"] if state else ["1", "2", "3"])
