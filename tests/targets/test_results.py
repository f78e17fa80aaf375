from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text, name_of

NAMES = ("cat", "dog")
BOXES = np.array([[1.234, 2, 3, 4], [5, 6, 7, 8]], np.float32)
DETECTIONS = Detections(BOXES, np.array([0.9, 0.5], np.float32), np.array([1, 7]), NAMES)
TRACKED = dataclasses.replace(DETECTIONS, track_ids=np.arange(len(DETECTIONS)))
CLASSES = Classification(np.array([1, 0]), np.array([0.75, 0.25], np.float32), NAMES)


def test_a_class_without_a_label_is_its_number() -> None:
    assert (name_of(1, NAMES), name_of(2, NAMES), name_of(-1, NAMES), name_of(0, ())) == ("dog", "2", "-1", "0")


class TestJson:
    def test_classification(self) -> None:
        assert CLASSES.to_json() == {
            "kind": "classification",
            "classes": [
                {"class_id": 1, "label": "dog", "score": 0.75},
                {"class_id": 0, "label": "cat", "score": 0.25},
            ],
        }
        assert (CLASSES.label, CLASSES.score) == ("dog", 0.75)

    def test_detections(self) -> None:
        first, second = DETECTIONS.to_json()["objects"]  # type: ignore[misc]
        assert first == {"class_id": 1, "label": "dog", "score": 0.9, "box": [1.23, 2.0, 3.0, 4.0]}
        assert second["label"] == "7"

    def test_no_detections(self) -> None:
        empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
        assert (len(empty), empty.to_json()) == (0, {"kind": "detections", "objects": []})

    def test_the_others(self) -> None:
        assert Text("aé", 0.98765).to_json() == {"kind": "text", "text": "aé", "confidence": 0.9877}
        assert Embedding(np.array([0.5], np.float32)).to_json() == {"kind": "embedding", "vector": [0.5]}
        values = Regression(np.array([1.5, 2.5], np.float32), ("x",)).to_json()
        assert values == {"kind": "regression", "values": {"x": 1.5, "1": 2.5}}

    @pytest.mark.parametrize("result", [CLASSES, DETECTIONS, Text("a", 1.0)], ids=lambda r: r.kind)
    def test_is_plain(self, result: Classification | Detections | Text) -> None:
        assert json.loads(json.dumps(result.to_json(), allow_nan=False))["kind"] == result.kind


class TestNumpy:
    @pytest.mark.parametrize(
        "result",
        [
            CLASSES,
            DETECTIONS,
            TRACKED,
            Text("aé", 0.5),
            Embedding(np.array([0.5], np.float32)),
            Regression(np.array([1.5, 2.5], np.float32)),
        ],
        ids=lambda result: result.kind,
    )
    def test_every_field_with_a_number_is_an_array_of_its_name(self, result: Result) -> None:
        arrays = result.to_numpy()
        # What is weak is for the tracker alone.
        untracked = {"names", "weak"} | ({"track_ids"} if getattr(result, "track_ids", None) is None else set())
        assert set(arrays) == {field.name for field in dataclasses.fields(result)} - untracked
        for name, array in arrays.items():
            assert isinstance(array, np.ndarray)
            np.testing.assert_array_equal(array, getattr(result, name))

    def test_it_can_be_saved(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "d.npz", **DETECTIONS.to_numpy())  # type: ignore[arg-type]
        with np.load(tmp_path / "d.npz", allow_pickle=False) as back:
            np.testing.assert_array_equal(back["boxes"], BOXES)


class TestChained:
    CHAINED = Chained(DETECTIONS, (CLASSES, None))

    def test_each_object_has_its_answer(self) -> None:
        first, second = self.CHAINED.to_json()["objects"]  # type: ignore[misc]
        assert (first["label"], first["then"]) == ("dog", CLASSES.to_json())
        assert second["then"] is None
        assert json.loads(json.dumps(self.CHAINED.to_json(), allow_nan=False))["kind"] == "chain"

    def test_arrays_have_a_row_for_each_detection(self) -> None:
        arrays = self.CHAINED.to_numpy()
        assert arrays["cropped"].tolist() == [True, False]
        assert arrays["then_class_ids"].tolist() == [[1, 0], [-1, -1]]
        np.testing.assert_array_equal(arrays["then_scores"], [[0.75, 0.25], [np.nan, np.nan]])
        np.testing.assert_array_equal(arrays["boxes"], BOXES)

    def test_texts(self) -> None:
        arrays = Chained(DETECTIONS, (None, Text("abc", 0.5))).to_numpy()
        assert arrays["then_text"].tolist() == ["", "abc"]

    def test_nothing_was_cropped(self) -> None:
        arrays = Chained(DETECTIONS, (None, None)).to_numpy()
        assert set(arrays) == {"boxes", "scores", "class_ids", "cropped"}

    def test_one_answer_each(self) -> None:
        with pytest.raises(InputError, match="1 answers to 2"):
            Chained(DETECTIONS, (None,))


class TestChecks:
    def test_parts_of_one_length(self) -> None:
        with pytest.raises(InputError, match="length"):
            Detections(BOXES, np.zeros(1, np.float32), np.zeros(2, np.int64))
        with pytest.raises(InputError, match="length"):
            Classification(np.array([1]), np.zeros(2, np.float32))

    def test_boxes_have_four_numbers(self) -> None:
        with pytest.raises(InputError, match=r"\(N, 4\)"):
            Detections(np.zeros((1, 5), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64))

    def test_they_do_not_change(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            CLASSES.names = ()  # type: ignore[misc]


def test_supervision_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtra, match="supervision"):
        DETECTIONS.to_supervision()
