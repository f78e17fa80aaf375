"""A file that is listed twice is no copy of itself, and what a kept picture needs is not deleted."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from edgesdk.cli.app import run
from edgesdk.data.clean import clean, delete
from edgesdk.data.index.open_index import open_index
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_testkit.picture_sets import (
    encoded_again,
    scene,
    write_class_folders,
    write_coco,
    write_picture,
    write_table,
    write_yolo,
)


def doubled_id(folder: Path) -> None:
    table = write_coco(folder, [[0], [1], [0]]) / "annotations/instances.json"
    document = json.loads(table.read_text())
    document["images"].append({**document["images"][0], "id": 99})
    table.write_text(json.dumps(document))


def two_kinds_of_annotations(folder: Path) -> None:
    table = write_coco(folder, [[0], [1], [0]]) / "annotations/instances.json"
    shutil.copy(table, table.with_name("person_keypoints_train.json"))
    table.rename(table.with_name("instances_train.json"))


def two_ways_to_write_a_name(folder: Path) -> None:
    write_table(folder, ["cat", "dog", "cat"])
    with (folder / "labels.csv").open("a") as file:
        file.write("./0000.png,cat\n")


@pytest.mark.parametrize("make", [doubled_id, two_kinds_of_annotations, two_ways_to_write_a_name])
def test_a_file_listed_twice_is_a_finding_and_stays(tmp_path: Path, make: object) -> None:
    make(tmp_path / "set")  # type: ignore[operator]
    index = open_index([tmp_path / "set"])
    assert len(index) == 3
    assert "listed-twice" in {finding.kind for finding in index.findings}
    assert not clean(index, ["faults", "copies"]).dropped
    assert run(["data", "clean", str(tmp_path / "set"), "-o", str(tmp_path / "out")]) == 0
    written = [open_index([tmp_path / "out" / split]) for split in index.splits]
    assert [len(one) for one in written] == [3]
    assert "listed-twice" not in {finding.kind for one in written for finding in one.findings}


@pytest.mark.parametrize("second", ["set/cat", "link"])
def test_paths_that_overlap_are_refused(tmp_path: Path, second: str) -> None:
    write_class_folders(tmp_path / "set/cat", {"one": 2, "other": 2})
    write_class_folders(tmp_path / "set", {"cat": 0, "dog": 2}, first=9)
    (tmp_path / "link").symlink_to(tmp_path / "set")
    with pytest.raises(InputError, match="listed twice"):
        open_index([tmp_path / "set", tmp_path / second])


def test_pictures_that_kept_links_lead_to_are_not_deleted(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 2})
    (tmp_path / "cat/first.png").symlink_to(tmp_path / "cat/second.png")
    (tmp_path / "cat/second.png").symlink_to(tmp_path / "cat/third.png")
    write_picture(tmp_path / "cat/third.png", scene(5))
    cleaned = clean(open_index([tmp_path]), ["copies"])
    assert {item.name for item, _ in cleaned.dropped} == {"cat/second.png", "cat/third.png"}
    assert delete(cleaned) == 0
    assert all(item.path.is_file() for item in cleaned.kept)


def test_of_a_dropped_link_only_the_link_goes(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 2})
    (tmp_path / "cat/z.png").symlink_to(tmp_path / "cat/0000.png")
    assert delete(clean(open_index([tmp_path]), ["copies"])) == 1
    assert sorted(path.name for path in (tmp_path / "cat").iterdir()) == ["0000.png", "0001.png"]


def test_a_label_that_a_kept_picture_needs_stays(tmp_path: Path) -> None:
    write_yolo(tmp_path, [[0], [1], [0]])
    (tmp_path / "images/0000.png").write_bytes(b"no picture")
    (tmp_path / "images/0001.jpg").write_bytes(b"no picture")
    assert delete(clean(open_index([tmp_path]), ["faults"])) == 2
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["0000.txt", "0002.txt"]


@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, InputError), (errno.ENOSPC, NoSpace)])
def test_an_error_in_the_middle_says_how_many_went(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    kind: type[Exception],
) -> None:
    write_class_folders(tmp_path, {"cat": 4})
    for name in ("x", "y", "z"):
        write_picture(tmp_path / "cat" / f"{name}.png", encoded_again(scene(0, (60, 80)), 95))
    cleaned = clean(open_index([tmp_path]), ["copies"])
    assert len(cleaned.dropped) == 3
    unlink, last = Path.unlink, cleaned.dropped[-1][0].path

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path == last:
            raise OSError(number, "refused")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(kind, match="2 of 3 pictures were deleted"):
        delete(cleaned)
    assert run(["data", "clean", str(tmp_path), "--drop", "copies", "--delete", "--json"]) != 0
    assert json.loads(capsys.readouterr().out)["deleted"] == 0, "of the one that was left"


def test_a_copy_with_another_label_goes_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_class_folders(tmp_path, {"cat": 2, "dog": 2})
    shutil.copy(tmp_path / "cat/0000.png", tmp_path / "dog/copy.png")
    shutil.copy(tmp_path / "cat/0001.png", tmp_path / "cat/copy.png")
    cleaned = clean(open_index([tmp_path]), ["copies"])
    assert [why for _, why in cleaned.dropped] == [
        "copy (exact) of cat/0001.png",
        "copy (exact) of cat/0000.png; its label is another",
    ]
    assert run(["data", "clean", str(tmp_path)]) == 0
    assert "1 copies have another label" in capsys.readouterr().err
