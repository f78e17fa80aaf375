"""Faults and remarks about pictures: each kind is found in a set that has it, and in a sound set none is."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgesdk.cli.app import run
from edgesdk.data.check import check
from edgesdk.data.index.open_index import open_index
from edgesdk.data.picture_file import decode_whole
from edgesdk_targets.errors import InputError
from edgesdk_testkit.picture_sets import huge_png, scene, write_class_folders, write_picture


def found(folder: Path) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for finding in check(open_index([folder])).findings:
        kinds.setdefault(finding.kind, set()).add(finding.name)
    return kinds


def test_a_sound_set_has_nothing(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 4, "dog": 4}, suffix=".jpg")
    checked = check(open_index([tmp_path]))
    assert checked.findings == ()
    assert checked.modes == {"RGB": 8}


def test_one_is_told_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_class_folders(tmp_path, {"cat": 1}, suffix=".jpg")
    assert run(["data", "check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 picture, 1 class; layout: folders\n" in said
    assert "0 faults, 1 remark\n" in said


def test_each_kind_is_found(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 20}, suffix=".jpg")
    cat = tmp_path / "cat"
    whole = (cat / "0000.jpg").read_bytes()
    (cat / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (cat / "empty.png").write_bytes(b"")
    (cat / "text.png").write_bytes(b"not a picture")
    (cat / "bomb.png").write_bytes(huge_png())
    (cat / "png.jpg").write_bytes(cv2.imencode(".png", scene(99, (40, 40)))[1].tobytes())
    write_picture(cat / "tiny.png", scene(98, (40, 9)))
    write_picture(cat / "flat.png", np.full((40, 40, 3), 90, np.uint8))
    Image.fromarray(cv2.cvtColor(scene(97, (40, 40)), cv2.COLOR_BGR2GRAY)).save(cat / "grey.png")
    assert found(tmp_path) == {
        "corrupt": {"cat/cut.jpg", "cat/empty.png", "cat/text.png"},
        "too-large": {"cat/bomb.png"},
        "wrong-suffix": {"cat/png.jpg"},
        "tiny": {"cat/tiny.png"},
        "flat": {"cat/flat.png"},
        "colour-mode": {"cat/grey.png"},
    }


def test_a_set_of_two_modes_in_equal_parts_has_no_odd_one(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"cat": 3})
    for number in range(3):
        Image.fromarray(cv2.cvtColor(scene(number + 50), cv2.COLOR_BGR2GRAY)).save(tmp_path / f"cat/g{number}.png")
    assert "colour-mode" not in found(tmp_path)


def test_the_frames_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for number in range(12):
        writer.write(scene(number, (60, 80)))
    writer.release()
    checked = check(open_index([path], every=4))
    assert [item.name for item in checked.index.items] == ["clip.avi#0", "clip.avi#4", "clip.avi#8"]
    assert checked.sizes == ((80, 60),) * 3
    assert checked.findings == ()


def test_the_command_writes_json_and_a_page_and_ends_with_one_where_there_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_class_folders(tmp_path / "set", {"cat": 3, "<b>dog": 2})
    assert run(["data", "check", str(tmp_path / "set"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == 0
    (tmp_path / "set/cat/bad.png").write_bytes(b"x")
    assert run(["data", "check", str(tmp_path / "set"), "--json", "--report", str(tmp_path / "page.html")]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["findings"][0]["name"] == "cat/bad.png"
    assert told["classes"] == {"<b>dog": 2, "cat": 4}
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg") >= 5
    assert "&lt;b&gt;dog" in page
    assert not re.search(r"(src|href)=.https?:", page)


def test_a_missing_set_is_a_usage_error(tmp_path: Path) -> None:
    assert run(["data", "check", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize("error", [struct.error, EOFError, IndexError, KeyError, TypeError])
@pytest.mark.parametrize("where", ["PIL.Image.open", "PIL.ImageFile.ImageFile.load"])
def test_whatever_pillow_stumbles_over_is_a_damaged_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], where: str
) -> None:
    write_picture(tmp_path / "a.png", scene(0))

    def stumble(*_: object, **__: object) -> None:
        raise error("of the file's own")

    monkeypatch.setattr(where, stumble)
    with pytest.raises(InputError):
        decode_whole((tmp_path / "a.png").read_bytes(), "a.png")
