"""Every layout is listed; what is wrong with labels is collected, and nothing outside the folder is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgesdk.data.index.item import Index, Layout
from edgesdk.data.index.open_index import open_index
from edgesdk.layouts.labels_csv import read_value_table
from edgesdk.layouts.yolo_text import named_classes, read_boxes
from edgesdk_targets.errors import InputError
from edgesdk_testkit.picture_sets import (
    scene,
    write_class_folders,
    write_coco,
    write_picture,
    write_table,
    write_yolo,
)


def kinds(index: Index) -> set[tuple[str, str]]:
    return {(finding.kind, finding.name) for finding in index.findings}


def test_class_folders_of_several_sets(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "train", {"cat": 3, "dog": 2})
    write_class_folders(tmp_path / "test", {"cat": 2, "dog": 2}, first=50)
    index = open_index([tmp_path])
    assert index.layout is Layout.FOLDERS
    assert index.splits == ("train", "test")
    assert index.of_class() == {"cat": 5, "dog": 4}
    assert index.items[0].name == "train/cat/0000.png"
    assert index.items[0].place == "cat/0000.png"
    assert open_index([tmp_path / "train", tmp_path / "test"]).splits == ("train", "test")


def test_an_empty_class_a_lone_picture_and_one_outside_of_the_classes_are_found(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 3, "dog": 1, "fox": 0})
    write_picture(tmp_path / "stray.png", scene(9))
    found = kinds(open_index([tmp_path]))
    assert found == {("empty-class", "fox"), ("single", "dog"), ("no-label", "stray.png")}


def test_yolo_labels_without_pictures_and_pictures_without_labels(tmp_path: Path) -> None:
    write_yolo(tmp_path, [[0], [0, 1], [], [1], [0], [1]])
    (tmp_path / "labels/0003.txt").unlink()
    (tmp_path / "labels/0004.txt").write_text("0 0.5 0.5 nan 0.2\n")
    (tmp_path / "labels/0005.txt").write_text("7 0.5 0.5 0.2 0.2\n")
    (tmp_path / "labels/gone.txt").write_text("")
    index = open_index([tmp_path])
    assert index.layout is Layout.YOLO
    assert index.items[1].classes == ("cat", "dog")
    assert index.items[2].labelled, "an empty file says that there is nothing"
    assert not index.items[2].classes
    assert kinds(index) >= {
        ("no-label", "images/0003.jpg"),
        ("bad-label", "images/0004.jpg"),
        ("unknown-class", "images/0005.jpg"),
        ("no-picture", "labels/gone.txt"),
    }


@pytest.mark.parametrize("nested", [True, False], ids=["train/images", "images/train"])
def test_both_ways_to_divide_yolo(tmp_path: Path, nested: bool) -> None:
    write_yolo(tmp_path / "whole", [[0], [1], [0]])
    for split in ("val", "train"):
        for part in ("images", "labels"):
            target = tmp_path / "set" / split / part if nested else tmp_path / "set" / part / split
            shutil.copytree(tmp_path / "whole" / part, target)
    (tmp_path / "set/classes.txt").write_text("cat\ndog\n")
    index = open_index([tmp_path / "set"])
    assert index.layout is Layout.YOLO
    assert index.splits == ("train", "val")
    assert index.of_class() == {"cat": 4, "dog": 2}


def test_coco_faults(tmp_path: Path) -> None:
    table = write_coco(tmp_path, [[0], [0, 1], []]) / "annotations/instances.json"
    good = open_index([tmp_path])
    assert good.layout is Layout.COCO
    assert [item.classes for item in good.items] == [("cat",), ("cat", "dog"), ()]
    text = table.read_text()
    text = text.replace('"file_name": "0002.jpg"', '"file_name": "../../secret.jpg"')
    text = text.replace('"category_id": 10, ', '"category_id": 77, ').replace('"image_id": 0', '"image_id": 99')
    table.write_text(text)
    found = {kind for kind, _ in kinds(open_index([tmp_path]))}
    assert {"outside", "unknown-class", "no-picture", "no-label"} <= found


def test_table_faults_and_its_column_of_sets(tmp_path: Path) -> None:
    write_table(tmp_path, ["cat", "dog", "cat", "dog"])
    write_picture(tmp_path / "beside.png", scene(7))
    (tmp_path / "labels.csv").write_text(
        "file,label,split,group\n0000.png,cat,train,a\n0001.png,dog;cat,test,b\n0002.png,,train,a\ngone.png,cat,train,a\n"
        "../x.png,cat,train,a\n0000.png,dog,train,a\n"
    )
    index = open_index([tmp_path])
    assert index.layout is Layout.CSV
    assert {item.name: item.split for item in index.items if item.split} == {
        "0000.png": "train",
        "0001.png": "test",
        "0002.png": "train",
    }
    assert index.items[1].classes == ("cat", "dog")
    assert index.items[0].group == "a"
    assert kinds(index) >= {
        ("no-label", "0002.png"),
        ("no-picture", "labels.csv:5"),
        ("outside", "labels.csv:6"),
        ("bad-label", "labels.csv:7"),
        ("no-label", "beside.png"),
    }


def test_a_link_out_of_the_folder_is_found_and_not_followed(tmp_path: Path) -> None:
    write_picture(tmp_path / "secret.png", scene(1))
    write_class_folders(tmp_path / "set", {"cat": 3})
    (tmp_path / "set/cat/link.png").symlink_to(tmp_path / "secret.png")
    index = open_index([tmp_path / "set"])
    assert ("outside", "cat/link.png") in kinds(index)
    assert all("link" not in item.name for item in index.items)


def test_a_link_within_the_folder_is_fine(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 3})
    (tmp_path / "cat/link.png").symlink_to(tmp_path / "cat/0000.png")
    assert len(open_index([tmp_path])) == 4


@pytest.mark.parametrize("make", ["nothing", "empty", "text"])
def test_what_is_no_dataset_is_refused_by_name(tmp_path: Path, make: str) -> None:
    place = tmp_path / "set"
    if make == "empty":
        place.mkdir()
    elif make == "text":
        place.write_text("no dataset")
    with pytest.raises(InputError, match="set"):
        open_index([place])


def test_sets_of_different_layouts_are_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "train", {"cat": 2})
    write_yolo(tmp_path / "val", [[0]])
    with pytest.raises(InputError, match="different layouts"):
        open_index([tmp_path])


def test_a_folder_that_is_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    write_yolo(tmp_path / "elsewhere", [[0], [1]])
    write_yolo(tmp_path / "set", [[0], [1]])
    shutil.rmtree(tmp_path / "set/labels")
    (tmp_path / "set/labels").symlink_to(tmp_path / "elsewhere/labels")
    with pytest.raises(InputError, match="labels is a link to elsewhere"):
        open_index([tmp_path / "set"])
    write_class_folders(tmp_path / "outer", {"cat": 2})
    write_class_folders(tmp_path / "divided/train", {"cat": 2})
    (tmp_path / "divided/val").symlink_to(tmp_path / "outer")
    index = open_index([tmp_path / "divided"])
    assert ("outside", "val") in kinds(index)
    assert index.splits == ("train",)
    assert len(open_index([tmp_path / "divided/train", tmp_path / "divided/val"])) == 4, "a link that is named is meant"


def test_pictures_and_labels_behind_a_link_of_a_folder_are_outside(tmp_path: Path) -> None:
    write_yolo(tmp_path / "elsewhere", [[0], [1]])
    write_yolo(tmp_path / "set", [[0], [1]])
    write_picture(tmp_path / "set/images/more/0000.jpg", scene(7))
    (tmp_path / "set/labels/more").symlink_to(tmp_path / "elsewhere/labels")
    found = open_index([tmp_path / "set"])
    assert ("outside", "images/more/0000.jpg") in kinds(found)
    assert not next(item for item in found.items if item.name == "images/more/0000.jpg").labelled


def test_an_unlisted_picture_that_is_a_link_to_elsewhere_is_outside(tmp_path: Path) -> None:
    write_picture(tmp_path / "secret.png", scene(1))
    write_table(tmp_path / "set", ["cat", "dog"])
    (tmp_path / "set/link.png").symlink_to(tmp_path / "secret.png")
    index = open_index([tmp_path / "set"])
    assert ("outside", "link.png") in kinds(index)
    assert len(index) == 2


def test_a_class_number_that_is_no_decimal_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names:\n  0: cat\n  ²: dog\n")
    assert named_classes(tmp_path) == {0: "cat"}


def test_a_label_that_goes_while_it_is_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt cannot be read"):
        read_boxes(tmp_path / "gone.txt")


def test_the_column_of_sets_is_no_number(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", scene(0))
    (tmp_path / "labels.csv").write_text("file,split,angle\na.png,train,1.5\n")
    _, names = read_value_table(tmp_path / "labels.csv", ())
    assert names == ("angle",)
