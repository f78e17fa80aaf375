"""What is cleaned, divided, compressed or chosen is a dataset again, labels and all; originals stay."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgesdk.cli.app import run
from edgesdk.data.clean import clean
from edgesdk.data.compress import compress
from edgesdk.data.index.open_index import open_index
from edgesdk.evaluate.dataset import open_dataset
from edgesdk_targets.errors import InputError
from edgesdk_testkit.picture_sets import (
    encoded_again,
    scene,
    write_class_folders,
    write_coco,
    write_picture,
    write_table,
    write_yolo,
)

BOXES = [[0], [0, 1], [1], [1], [0], [], [0], [1], [1, 1], [0]]


def table(folder: Path) -> Path:
    return write_table(folder, ["cat", "dog"] * 5)


def folders(folder: Path) -> Path:
    return write_class_folders(folder, {"cat": 5, "dog": 5})


LAYOUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "folders": (folders, "classify"),
    "csv": (table, "classify"),
    "yolo": (lambda f: write_yolo(f, BOXES), "detect"),
    "coco": (lambda f: write_coco(f, BOXES), "detect"),
}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_divided_into_datasets_that_evaluation_reads(tmp_path: Path, layout: str) -> None:
    make, task = LAYOUTS[layout]
    make(tmp_path / "set")
    before = everything(tmp_path / "set")
    words = ["data", "split", str(tmp_path / "set"), "--shares", "train=0.6,test=0.4", "-o", str(tmp_path / "out")]
    assert run(words) == 0
    assert everything(tmp_path / "set") == before
    labels = ("cat", "dog")
    parts = [open_dataset(tmp_path / "out" / name, task=task, labels=labels) for name in ("train", "test")]
    assert len(parts[0]) + len(parts[1]) == 10
    assert len(parts[0]) in {6, 7}
    whole = open_dataset(tmp_path / "set", task=task, labels=labels)
    told = {hash_of(s.path): truth_of(s) for part in parts for s in part.samples}
    assert told == {hash_of(s.path): truth_of(s) for s in whole.samples}
    again = open_index([tmp_path / "out"])
    assert again.splits == ("train", "test")
    assert again.layout.value == layout


def hash_of(path: Path) -> int:
    return hash(path.read_bytes())


def truth_of(sample: object) -> object:
    truth = getattr(sample, "truth", None)
    if truth is None:
        return getattr(sample, "accepted")  # noqa: B009
    return (tuple(map(tuple, truth.boxes.tolist())), tuple(truth.class_ids.tolist()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_wrong_goes_and_the_rest_is_a_dataset(tmp_path: Path, layout: str) -> None:
    make, task = LAYOUTS[layout]
    make(tmp_path / "set")
    index = open_index([tmp_path / "set"])
    index.items[4].path.write_bytes(b"no picture")
    copied = cv2.imread(str(index.items[1].path))
    write_picture(index.items[8].path, encoded_again(copied, 70))
    before = everything(tmp_path / "set")
    listing = tmp_path / "list.csv"
    words = ["data", "clean", str(tmp_path / "set"), "-o", str(tmp_path / "out"), "--list", str(listing)]
    assert run(words) == 0
    assert everything(tmp_path / "set") == before
    assert len(open_dataset(tmp_path / "out", task=task, labels=("cat", "dog"))) == 8
    with listing.open() as file:
        why = {row["file"]: row["dropped"] for row in csv.DictReader(file)}
    assert why[index.items[4].name].startswith("corrupt")
    assert why[index.items[8].name] == f"copy (near) of {index.items[1].name}; its label is another"
    assert sum(bool(reason) for reason in why.values()) == 2


def test_links_take_no_space_and_a_copy_is_one(tmp_path: Path) -> None:
    folders(tmp_path / "set")
    assert run(["data", "clean", str(tmp_path / "set"), "-o", str(tmp_path / "linked"), "--link"]) == 0
    assert run(["data", "clean", str(tmp_path / "set"), "-o", str(tmp_path / "copied")]) == 0
    inode = (tmp_path / "set/cat/0000.png").stat().st_ino
    assert (tmp_path / "linked/cat/0000.png").stat().st_ino == inode
    assert (tmp_path / "copied/cat/0000.png").stat().st_ino != inode


def test_originals_are_deleted_only_when_it_is_said(tmp_path: Path) -> None:
    write_yolo(tmp_path / "set", BOXES)
    (tmp_path / "set/images/0003.jpg").write_bytes(b"")
    assert run(["data", "clean", str(tmp_path / "set")]) == 0
    assert (tmp_path / "set/images/0003.jpg").exists()
    assert run(["data", "clean", str(tmp_path / "set"), "--delete"]) == 0
    assert not (tmp_path / "set/images/0003.jpg").exists()
    assert not (tmp_path / "set/labels/0003.txt").exists()
    assert len(list((tmp_path / "set/images").iterdir())) == 9
    table(tmp_path / "table")
    assert run(["data", "clean", str(tmp_path / "table"), "--delete"]) == 2


def test_nothing_is_written_into_what_is_there_or_into_the_set_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders(tmp_path / "set")
    write_picture(tmp_path / "there/x.png", scene(0))
    for place in (tmp_path / "there", tmp_path / "set/inner", tmp_path / "set"):
        assert run(["data", "clean", str(tmp_path / "set"), "-o", str(place)]) == 2
        said = "lies inside the data" if place.name == "inner" else "exists already"
        assert said in " ".join(capsys.readouterr().err.split())
    assert len(list(tmp_path.iterdir())) == 2, "nothing half-written is left"


def test_nothing_left_and_unknown_kinds_are_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", scene(0, (8, 8)))
    with pytest.raises(InputError, match="Nothing would be left"):
        clean(open_index([tmp_path]), ["tiny"])
    with pytest.raises(InputError, match="'ugly' is nothing to drop"):
        clean(open_index([tmp_path]), ["ugly"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_compressed_set_is_smaller_as_alike_as_asked_and_has_its_labels(
    tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, task = LAYOUTS[layout]
    make(tmp_path / "set")
    words = ["data", "compress", str(tmp_path / "set"), "--ssim", "0.93", "-o", str(tmp_path / "out"), "--json"]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["encoded"] + told["kept"] == told["pictures"] == 10
    assert told["ssim"]["min"] >= 0.93
    assert told["after_bytes"] < told["before_bytes"]
    on_disk = sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.suffix in {".jpg", ".png"})
    assert on_disk == told["after_bytes"]
    assert len(open_dataset(tmp_path / "out", task=task, labels=("cat", "dog"))) == 10


def test_two_pictures_that_differ_in_their_suffix_stay_two(tmp_path: Path) -> None:
    write_picture(tmp_path / "set/a.png", scene(1))
    write_picture(tmp_path / "set/a.jpg", scene(2))
    assert run(["data", "compress", str(tmp_path / "set"), "--ssim", "0.9", "-o", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.jpg", "a_png.jpg"}


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_pictures_that_would_get_one_name_stay_as_many(tmp_path: Path, kind: str) -> None:
    for number, name in enumerate(["a.png", "a.bmp", "a.jpg", "a_png.webp", "A.TIF"]):
        write_picture(tmp_path / "set" / name, scene(number))
    done = compress(open_index([tmp_path / "set"]), tmp_path / "out", bound=0.8, kind=kind, workers=3)
    assert len(done.pictures) == len(list((tmp_path / "out").iterdir())) == 5


@pytest.mark.parametrize("mode", ["P", "PA", "LA", "RGBA"])
def test_what_is_transparent_in_places_stays_as_it_is(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(scene(1)).convert("P")
    kept = {} if mode != "P" else {"transparency": 3}
    suffix = ".png" if mode != "PA" else ".tif"
    (tmp_path / "set").mkdir()
    picture.convert(mode).save(tmp_path / f"set/a{suffix}", **kept)
    write_picture(tmp_path / "set/b.png", scene(2))
    run(["data", "compress", str(tmp_path / "set"), "--ssim", "0.6", "-o", str(tmp_path / "out")])
    assert (tmp_path / f"out/a{suffix}").read_bytes() == (tmp_path / f"set/a{suffix}").read_bytes()
    assert (tmp_path / "out/b.jpg").exists(), "negative control"


def test_few_frames_of_a_video_become_a_set_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for number in range(30):
        writer.write(scene(number // 10, (60, 80)))
    writer.release()
    assert run(["data", "select", str(path), "--count", "3", "-o", str(tmp_path / "out")]) == 0
    index = open_index([tmp_path / "out"])
    assert sorted(int(item.path.stem[-6:]) // 10 for item in index.items) == [0, 1, 2], "one of each scene"
    assert {item.group for item in index.items} == {str(tmp_path / "out/clip")}


def test_chosen_pictures_are_written_with_their_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_yolo(tmp_path / "set", BOXES)
    shutil.copy(tmp_path / "set/images/0000.jpg", tmp_path / "set/images/0001.jpg")
    assert run(["data", "select", str(tmp_path / "set"), "--count", "6", "-o", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["chosen"]) == 6
    assert not {"images/0000.jpg", "images/0001.jpg"} <= set(told["chosen"]), "copies are not both chosen"
    assert told["radius"] <= told["random_radius"]
    assert len(open_dataset(tmp_path / "out", task="detect", labels=("cat", "dog"))) == 6
    assert np.isfinite(told["radius"])


@pytest.mark.parametrize("command", ["clean", "compress"])
def test_a_set_whose_name_is_a_path_is_written_into_the_folder_all_the_same(tmp_path: Path, command: str) -> None:
    table(tmp_path / "set")
    rows = "".join(f"{n:04d}.png,cat,{'../../../up' if n % 2 else '/etc/x'}\n" for n in range(10))
    (tmp_path / "set/labels.csv").write_text("file,label,split\n" + rows)
    assert run(["data", command, str(tmp_path / "set"), "-o", str(tmp_path / "deep/er/out")]) == 0
    assert {p.name for p in (tmp_path / "deep/er/out").iterdir()} == {"up", "etc-x"}
    assert {p.name for p in tmp_path.iterdir()} == {"set", "deep"}


def test_a_label_that_is_a_link_to_elsewhere_is_not_copied(tmp_path: Path) -> None:
    write_yolo(tmp_path / "set", BOXES)
    (tmp_path / "secret.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "set/labels/0000.txt").unlink()
    (tmp_path / "set/labels/0000.txt").symlink_to(tmp_path / "secret.txt")
    assert run(["data", "clean", str(tmp_path / "set"), "--drop", "copies", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/images/0000.jpg").exists()
    assert not (tmp_path / "out/labels/0000.txt").exists()
    assert (tmp_path / "out/labels/0001.txt").exists()
