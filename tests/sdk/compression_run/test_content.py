"""What a recipe's run and a search watch: pictures and labels, behind links too, and no more; weights beside a model."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from edgesdk.compression_run import digest
from edgesdk.compression_run.content import PASSES, TRIALS, Content
from edgesdk.compression_run.digest import files_behind
from edgesdk_converters.source import resolve_source
from edgesdk_targets.errors import ContentChanged
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import LABELS
from edgesdk_testkit.tiny_models import CNN


def watched(folder: Path) -> Content:
    return Content({"data": partial(files_behind, folder)}, TRIALS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Class folders, one of them a link."""
    elsewhere = tmp_path / "elsewhere"
    for folder in (elsewhere, tmp_path / "data" / "cat"):
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(b"one")
    (tmp_path / "data" / "dog").symlink_to(elsewhere)
    return tmp_path / "data"


def test_what_a_tool_leaves_beside_pictures_is_not_watched(data: Path) -> None:
    content = watched(data)
    for name in (".DS_Store", "Thumbs.db", "labels.cache", "notes.txt", "report.json", "cat/notes.csv"):
        (data / name).write_text("{}")
    content.check()
    (data / "cat/2.png").write_bytes(b"two")
    with pytest.raises(ContentChanged, match=r"2\.png is new"):
        content.check()


def test_pictures_behind_a_linked_folder_are_watched(data: Path) -> None:
    (data / "dog/round").symlink_to(data / "dog")
    content = watched(data)
    (data.parent / "elsewhere/1.png").write_bytes(b"another")
    with pytest.raises(ContentChanged, match=r"dog/1\.png changed"):
        content.check()


def test_what_is_written_anew_with_the_same_content_is_told_once_and_no_change(data: Path) -> None:
    for work, said in ((TRIALS, "since the search began"), (PASSES, "since the recipe began")):
        content = Content({"data": partial(files_behind, data)}, work)
        assert content.check() == ()
        (data / "cat/1.png").write_bytes(b"one")
        os.utime(data / "cat/1.png", (1, len(said)))
        (told,) = content.check()
        assert f"written anew {said}: {data / 'cat/1.png'} changed" in told
        assert content.check() == ()
        # The control: then another content is a change.
        (data / "cat/1.png").write_bytes(b"two")
        with pytest.raises(ContentChanged, match=rf"changed {said}: .*1\.png changed"):
            content.check()
        (data / "cat/1.png").write_bytes(b"one")


def test_a_json_is_asked_once_whether_it_is_cocos_and_again_when_it_is_another(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def looks(path: Path) -> bool:
        asked.append(path)
        return looked(path)

    looked = digest.looks_like_coco
    monkeypatch.setattr(digest, "looks_like_coco", looks)
    file = data / "boxes.json"
    file.write_text("{}")
    content = watched(data)
    for _ in range(3):
        content.check()
    assert asked == [file]
    file.write_text('{"images": []}')
    with pytest.raises(ContentChanged, match=r"boxes\.json is new"):
        content.check()


@pytest.mark.parametrize("where", ["labels/1.txt", "labels/far/1.txt", "classes.txt", "data.yaml", "groups.csv"])
def test_labels_are_watched(tmp_path: Path, where: str) -> None:
    file = tmp_path / where
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("0")
    content = watched(tmp_path)
    file.write_text("another")
    with pytest.raises(ContentChanged, match="changed"):
        content.check()


def test_beside_a_table_what_it_lists_and_its_groups_count(tmp_path: Path) -> None:
    for name in ("labels.csv", "groups.csv", "listed.png", "other.png"):
        (tmp_path / name).write_bytes(b"0")
    listed = [tmp_path / "listed.png"]
    named = {"labels.csv", "groups.csv", "listed.png"}
    assert set(files_behind(tmp_path, listed)) == set(files_behind(tmp_path / "labels.csv", listed)) == named
    # The control: pictures to calibrate with are all that lie there.
    assert "other.png" in files_behind(tmp_path)


def test_weights_beside_an_onnx_and_a_file_of_labels_are_files_of_the_model(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_from_string(CNN.file(Runtime.ONNXRUNTIME).files["model"])
    onnx.save(model, str(tmp_path / "tiny.onnx"), save_as_external_data=True, location="tiny.bin", size_threshold=0)
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    (tmp_path / "card.yaml").write_text(
        "name: tiny\nsource: tiny.onnx\ntask: classify\nlabels: names.txt\ninput: {shape: [1, 3, 16, 16]}\n"
        "preprocess: {preset: zero-one}\n"
    )
    assert [file.name for file in resolve_source(tmp_path / "card.yaml").files()] == [
        "tiny.onnx",
        "tiny.bin",
        "names.txt",
    ]
