"""Sets that are written keep their classes, their groups and their division."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from edgesdk.cli.app import run
from edgesdk.data.index.open_index import open_index
from edgesdk.layouts.group_names import read_groups
from edgesdk_testkit.picture_sets import scene, write_class_folders, write_coco, write_picture, write_table, write_yolo


def test_yolo_sets_that_number_their_classes_differently_are_not_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yolo(tmp_path / "in/one", [[0], [1], [0], [1]])
    write_yolo(tmp_path / "in/other", [[0], [1]], names=("dog", "cat"))
    words = [str(tmp_path / "in/one"), str(tmp_path / "in/other"), "--shares", "train=0.5,test=0.5"]
    assert run(["data", "split", *words, "-o", str(tmp_path / "out")]) == 2
    assert "one (cat, dog), other (dog, cat)" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_coco_sets_that_number_their_classes_differently_keep_them(tmp_path: Path) -> None:
    write_coco(tmp_path / "in/one", [[0], [1], [0], [1]])
    write_coco(tmp_path / "in/other", [[0], [1], [2]], names=("dog", "fox", "cat"))
    before = open_index([tmp_path / "in/one", tmp_path / "in/other"]).of_class()
    words = ["data", "split", str(tmp_path / "in/one"), str(tmp_path / "in/other"), "--shares", "train=0.5,test=0.5"]
    assert run([*words, "-o", str(tmp_path / "out")]) == 0
    written = open_index([tmp_path / "out"])
    assert written.of_class() == before == {"cat": 3, "dog": 3, "fox": 1}
    assert sorted(written.names) == ["cat", "dog", "fox"]


def test_a_class_that_no_file_lists_does_not_become_one_of_another_file(tmp_path: Path) -> None:
    table = write_coco(tmp_path / "in/one", [[0], [1]]) / "annotations/instances.json"
    table.write_text(table.read_text().replace('"category_id": 10', '"category_id": 20'))
    write_coco(tmp_path / "in/other", [[0], [1], [2]], names=("cat", "dog", "fox"))
    words = ["data", "split", str(tmp_path / "in/one"), str(tmp_path / "in/other"), "--shares", "train=0.5,test=0.5"]
    assert run([*words, "-o", str(tmp_path / "out")]) == 0
    assert open_index([tmp_path / "out"]).of_class()["fox"] == 1


def test_of_a_description_only_the_names_are_written(tmp_path: Path) -> None:
    write_yolo(tmp_path / "set", [[0], [3], [0], [3]])
    (tmp_path / "set/classes.txt").unlink()
    (tmp_path / "set/data.yaml").write_text("path: /home/somebody\ntrain: images\nnames:\n  0: cat\n  3: dog\n")
    assert run(["data", "clean", str(tmp_path / "set"), "--drop", "faults", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/data.yaml").read_text() == 'names:\n  0: "cat"\n  3: "dog"\n'
    assert open_index([tmp_path / "out"]).of_class() == {"cat": 2, "dog": 2}


def test_sets_of_a_table_that_is_divided_anew_are_the_new_ones(tmp_path: Path) -> None:
    write_table(tmp_path / "set", ["cat", "dog"] * 4)
    rows = "".join(f"{n:04d}.png,{'dog' if n % 2 else 'cat'},train\n" for n in range(8))
    (tmp_path / "set/labels.csv").write_text("file,label,split\n" + rows)
    words = ["data", "split", str(tmp_path / "set"), "--shares", "train=0.5,test=0.5", "-o", str(tmp_path / "out")]
    assert run(words) == 0
    index = open_index([tmp_path / "out"])
    assert index.splits == ("train", "test")
    assert len(index) == 8


@pytest.mark.parametrize("command", ["clean", "compress"])
def test_a_picture_of_no_set_does_not_hide_the_sets(tmp_path: Path, command: str) -> None:
    write_table(tmp_path / "set", ["cat", "dog"] * 2)
    (tmp_path / "set/labels.csv").write_text(
        "file,label,split\n0000.png,cat,train\n0001.png,dog,train\n0002.png,cat,test\n0003.png,dog,test\n"
    )
    write_picture(tmp_path / "set/beside.png", scene(9))
    words = ["--drop", "copies"] if command == "clean" else []
    assert run(["data", command, str(tmp_path / "set"), *words, "-o", str(tmp_path / "out")]) == 0
    index = open_index([tmp_path / "out"])
    assert index.splits == ("train", "test", "")
    assert [item.name.split(".")[0] for item in index.items if not item.split] == ["unlisted/beside"]
    assert len(list((tmp_path / "out/unlisted").glob("beside.*"))) == 1


@pytest.mark.parametrize("make", [write_yolo, write_coco])
def test_groups_are_there_again_after_writing(tmp_path: Path, make: object) -> None:
    make(tmp_path / "set", [[0], [1]] * 4)  # type: ignore[operator]
    rows = "".join(f"{n:04d}.jpg,group-{n // 2}\n" for n in range(8))
    (tmp_path / "set/groups.csv").write_text("file,group\n" + rows)
    words = ["data", "split", str(tmp_path / "set"), "--shares", "train=0.5,test=0.5", "-o", str(tmp_path / "out")]
    assert run(words) == 0
    index = open_index([tmp_path / "out"])
    assert {item.group for item in index.items} == {f"group-{n}" for n in range(4)}


def test_a_group_stays_where_the_file_merely_looks_like_a_frame(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "set", {"cat": 4})
    for path in sorted((tmp_path / "set/cat").iterdir()):
        path.rename(path.with_name(f"frame_{path.name}"))
    with (tmp_path / "set/groups.csv").open("w") as file:
        csv.writer(file).writerows([("file", "group"), ("cat/frame_0000.png", "one"), ("cat/frame_0001.png", "one")])
    assert run(["data", "clean", str(tmp_path / "set"), "-o", str(tmp_path / "out")]) == 0
    told = read_groups(tmp_path / "out")
    assert {path.name: group for path, group in told.items()} == {"frame_0000.png": "one", "frame_0001.png": "one"}


def test_captions_beside_boxes_are_no_set(tmp_path: Path) -> None:
    table = write_coco(tmp_path, [[0], [1]]) / "annotations/instances.json"
    document = json.loads(table.read_text())
    table.with_name("captions.json").write_text(json.dumps({k: document[k] for k in ("images", "annotations")}))
    index = open_index([tmp_path])
    assert len(index) == 2
    assert index.splits == ("",)
