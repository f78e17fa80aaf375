"""Every form of labelled pictures is read, and what is wrong with one is told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.layouts.samples import BoxSample, ClassSample, TextSample
from edgesdk_targets.errors import InputError

LABELS = ("cat", "traffic light", "owl")


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((40, 80, 3), np.uint8))
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def classes(dataset: Dataset) -> dict[str, list[int]]:
    return {s.path.name: sorted(s.accepted) for s in dataset.samples if isinstance(s, ClassSample)}


def boxes(dataset: Dataset) -> dict[str, list[tuple[int, list[float]]]]:
    return {
        s.path.name: [(int(c), np.round(b, 6).tolist()) for c, b in zip(s.truth.class_ids, s.truth.boxes, strict=True)]
        for s in dataset.samples
        if isinstance(s, BoxSample)
    }


def test_class_folders(tmp_path: Path) -> None:
    for name in ("cat/a.png", "Traffic_Light/b.png", "2/c.png", "cat/d.jpg"):
        picture(tmp_path / name)
    (tmp_path / "nothing").mkdir()
    write(tmp_path / "cat" / "notes.txt", "no picture")
    found = classes(open_dataset(tmp_path, task="classify", labels=LABELS))
    assert found == {"a.png": [0], "b.png": [1], "c.png": [2], "d.jpg": [0]}


def test_a_folder_of_an_unknown_class(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "a.png")
    picture(tmp_path / "ow" / "b.png")
    with pytest.raises(InputError, match=r"'ow' \(did you mean 'owl'\?\)"):
        open_dataset(tmp_path, task="classify", labels=LABELS)


@pytest.mark.parametrize("folder", ["", "images/"])
def test_a_table_of_classes(tmp_path: Path, folder: str) -> None:
    for name in ("a.png", "sub/b.png", "c.png"):
        picture(tmp_path / folder / name)
    write(tmp_path / "labels.csv", "\ufefffile,label,licence\na.png,owl,x\nsub/b.png,0;Traffic light,\nc.png, cat ,\n")
    for path in (tmp_path, tmp_path / "labels.csv"):
        assert classes(open_dataset(path, task="classify", labels=LABELS)) == {
            "a.png": [2], "b.png": [0, 1], "c.png": [0],
        }  # fmt: skip


def test_a_label_may_hold_a_semicolon(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.csv", "file,label\na.png,x;y\n")
    assert classes(open_dataset(tmp_path, task="classify", labels=("x", "x;y"))) == {"a.png": [1]}


def test_a_table_of_texts(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    write(tmp_path / "labels.csv", 'file,text\na.png,"Hello, world"\nb.png, x \n')
    dataset = open_dataset(tmp_path, task="text", labels=())
    assert [s.text for s in dataset.samples if isinstance(s, TextSample)] == ["Hello, world", " x "]


def test_a_model_without_labels_takes_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "17" / "a.png")
    assert classes(open_dataset(tmp_path, task="classify", labels=())) == {"a.png": [17]}
    picture(tmp_path / "cat" / "b.png")
    with pytest.raises(InputError, match="'cat'") as caught:
        open_dataset(tmp_path, task="classify", labels=())
    assert "no labels" in caught.value.hint


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,label\n../a.png,cat\n", r"labels.csv:2 names '../a.png'"),
        ("file,label\n/etc/passwd,cat\n", "not inside"),
        ("file,label\nC:\\a.png,cat\n", "not inside"),
        ("file,label\nsub\\..\\..\\a.png,cat\n", "not inside"),
        ("file,label\na.png,cat\nmissing.png,owl\n", "not there: missing.png"),
        ("file,label\na.png,dog\n", "'dog'"),
        ("file,label\na.png,\n", "labels.csv:2: file or label is missing"),
        ("file,label\na.png\n", "labels.csv:2: file or label is missing"),
        ("file,label\na.png,cat\na.png,owl\n", "labels.csv:3: a.png is listed twice"),
        ("name,label\na.png,cat\n", "must have the columns file,label; it has name,label"),
        ("", "it has none"),
        ("file,label\n", "holds no labelled pictures"),
        ("file,label\na.png," + "x" * 200_000, "cannot be read"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, table: str, says: str) -> None:
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.csv", table)
    with pytest.raises(InputError, match=says) as caught:
        open_dataset(tmp_path, task="classify", labels=LABELS)
    assert caught.value.hint


def yolo(folder: Path) -> None:
    picture(folder / "images" / "a.png")
    picture(folder / "images" / "val" / "b.png")
    write(folder / "labels" / "a.txt", "2 0.5 0.5 0.2 0.4\n\n0 0.25 0.25 0.5 0.5\n")
    write(folder / "labels" / "val" / "b.txt", "")


def test_yolo(tmp_path: Path) -> None:
    yolo(tmp_path)
    dataset = open_dataset(tmp_path, task="detect", labels=LABELS)
    assert boxes(dataset) == {"a.png": [(2, [0.4, 0.3, 0.6, 0.7]), (0, [0.0, 0.0, 0.5, 0.5])], "b.png": []}
    assert all(isinstance(s, BoxSample) and s.fractions for s in dataset.samples)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "owl\nbird\ncat\n"),
        ("data.yaml", "path: ../elsewhere\ntrain: images\nnames: {0: owl, 1: bird, 2: cat}\n"),
        ("data.yaml", "names: [owl, bird, cat]\n"),
    ],
)
def test_yolo_that_names_its_classes(tmp_path: Path, name: str, text: str) -> None:
    """Numbers are the dataset's own: its 2 is the model's 0."""
    yolo(tmp_path)
    write(tmp_path / name, text)
    found = boxes(open_dataset(tmp_path, task="detect", labels=LABELS))
    assert [class_id for class_id, _ in found["a.png"]] == [0, 2]
    write(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.2 0.4\n")
    with pytest.raises(InputError, match=r"a.txt:1 has classes that the model does not: '1'"):
        open_dataset(tmp_path, task="detect", labels=LABELS)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("3 0.5 0.5 0.2 0.4", "a.txt:1 has classes that the model does not: '3'"),
        ("-1 0.5 0.5 0.2 0.4", "does not: '-1'"),
        ("0 0.5 0.5 0.2", "a.txt:1: must be `class cx cy width height`"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2", "must be `class"),
        ("cat 0.5 0.5 0.2 0.4", "must be `class"),
        ("0 40 20 10 10", "fractions of the picture"),
        ("0 0.5 0.5 0 0.4", "fractions of the picture"),
        ("0 nan 0.5 0.1 0.4", "fractions of the picture"),
        ("\udcff", "cannot be read"),
    ],
)
def test_yolo_lines_that_are_wrong(tmp_path: Path, line: str, says: str) -> None:
    yolo(tmp_path)
    (tmp_path / "labels" / "a.txt").write_bytes(line.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=says):
        open_dataset(tmp_path, task="detect", labels=LABELS)


def test_yolo_pictures_without_a_label_file_are_named(tmp_path: Path) -> None:
    yolo(tmp_path)
    for i in range(5):
        picture(tmp_path / "images" / f"lost{i}.png")
    with pytest.raises(InputError, match=r"lost0\.png, lost1\.png, lost2\.png and 2 more") as caught:
        open_dataset(tmp_path, task="detect", labels=LABELS)
    assert "empty file" in caught.value.hint


def coco(folder: Path, **changes: Any) -> Path:
    picture(folder / "val2017" / "a.png")
    picture(folder / "val2017" / "b.png")
    data = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "owl"}, {"id": 5, "name": "cat"}, {"id": 6, "name": "unused"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 10.5]},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [0, 0, 4, 4], "iscrowd": 1},
        ],
    }
    return write(folder / "annotations" / "instances_val2017.json", json.dumps({**data, **changes}))


def test_coco(tmp_path: Path) -> None:
    file = coco(tmp_path)
    for path in (tmp_path, file):
        dataset = open_dataset(path, task="detect", labels=LABELS)
        assert boxes(dataset) == {"a.png": [(2, [10, 5, 30, 15.5]), (0, [0, 0, 4, 4])], "b.png": []}
        first = dataset.samples[0]
        assert isinstance(first, BoxSample)
        assert not first.fractions
        assert first.truth.crowd is not None
        assert first.truth.crowd.tolist() == [False, True]


def test_several_coco_files(tmp_path: Path) -> None:
    file = coco(tmp_path)
    write(file.with_name("instances_train2017.json"), file.read_text())
    with pytest.raises(InputError, match="several COCO files"):
        open_dataset(tmp_path, task="detect", labels=LABELS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": [{"id": 7, "file_name": "../../a.png"}]}, "not inside the dataset"),
        ({"images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "lost.png"}]}, "not there: lost.png"),
        ({"images": [{"id": 9, "file_name": "b.png"}]}, "pictures that are not listed: 7"),
        ({"images": [{"id": [], "file_name": "b.png"}]}, r"images\[0\]: id must be a number"),
        ({"images": ["a.png"]}, "file_name is missing"),
        ({"images": {}}, "needs the lists"),
        ({"categories": [{"id": 1, "name": "dog"}, {"id": 5, "name": "cat"}]}, "'dog'"),
        ({"categories": []}, "category_id 1 is none of the categories"),
        ({"annotations": [{"image_id": 7, "category_id": 1}]}, r"annotations\[0\]: bbox is missing"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3]}]}, "bbox must be"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2, -3, 4]}]}, "bbox must be"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, float("nan")]}]}, "bbox must be"),
        ({"annotations": [{"image_id": 7, "category_id": {}, "bbox": [1, 2, 3, 4]}]}, "category_id"),
        ({"annotations": [7]}, "category_id is missing"),
    ],
)
def test_coco_files_that_are_wrong(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    file = coco(tmp_path, **changes)
    with pytest.raises(InputError, match=says) as caught:
        open_dataset(file, task="detect", labels=LABELS)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]"])
def test_coco_files_that_are_no_json(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        open_dataset(write(tmp_path / "x.json", text), task="detect", labels=LABELS)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("classify", "neither class folders"),
        ("detect", "neither `images/`"),
        ("text", "no labels.csv"),
        ("embed", "neither class folders"),
        ("regress", "no labels.csv"),
        ("segment", "no figure for the task 'segment'"),
    ],
)
def test_folders_without_a_dataset(tmp_path: Path, task: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        open_dataset(tmp_path, task=task, labels=LABELS)
    with pytest.raises(InputError, match="does not exist"):
        open_dataset(tmp_path / "absent", task=task, labels=LABELS)


class TestBesideTheTable:
    def test_pictures_that_it_does_not_list_are_counted(self, tmp_path: Path) -> None:
        for name in ("a.png", "b.png", "images/c.png", "images/d.png"):
            picture(tmp_path / name)
        write(tmp_path / "labels.csv", "file,label\na.png,cat\nc.png,owl\n")
        dataset = open_dataset(tmp_path, task="classify", labels=LABELS)
        assert dataset.warnings == ("2 pictures beside it are not listed in labels.csv, and were not used.",)

    def test_class_folders_do_not_count(self, tmp_path: Path) -> None:
        for name in ("cat/a.png", "owl/b.png"):
            picture(tmp_path / name)
        write(tmp_path / "labels.csv", "file,label\ncat/a.png,owl\nowl/b.png,owl\n")
        dataset = open_dataset(tmp_path, task="classify", labels=LABELS)
        assert classes(dataset) == {"a.png": [2], "b.png": [2]}
        (said,) = dataset.warnings
        assert "labels.csv counts, not the names of the 2 folders" in said

    def test_all_listed_is_nothing_to_say(self, tmp_path: Path) -> None:
        picture(tmp_path / "images/a.png")
        write(tmp_path / "labels.csv", "file,text\na.png,x\n")
        assert open_dataset(tmp_path, task="text", labels=()).warnings == ()
