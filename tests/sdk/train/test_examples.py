"""A folder's pictures as training sees them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk.train.batch import BoxTargets, ListedExamples, TextTargets
from edgesdk.train.examples import Examples, open_examples
from edgesdk.train.loading import Loading
from edgesdk_targets.card import CardFile, ModelCard, finish_card
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.image_file import read_image

torch = pytest.importorskip("torch")

NAMES = ("cat", "dog", "owl")


def a_card(task: str = "classify", labels: tuple[str, ...] = NAMES, **fields: Any) -> CardFile:
    given = {
        "name": "m",
        "task": task,
        "labels": labels,
        "input": {"shape": [1, 3, 16, 24]},
        "preprocess": {"preset": "imagenet", "resize": "letterbox"},
        **fields,
    }
    return finish_card(ModelCard(**given), Path.cwd())


def draw(path: Path, seed: int, size: tuple[int, int] = (30, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    assert cv2.imwrite(str(path), picture)
    return path


def class_folders(folder: Path, count: int = 10, names: tuple[str, ...] = NAMES, first: int = 0) -> Path:
    for c, name in enumerate(names):
        for i in range(count):
            draw(folder / name / f"{i}.png", first + 100 * c + i)
    return folder


def everything(examples: Examples) -> tuple[list[Any], list[Any]]:
    """Return images and targets of the training set, then of the validation set, each as one batch."""
    parts = (examples.train, examples.validation)
    batches = [next(iter(part.batches([range(len(part))]))) for part in parts]
    return [b.images for b in batches], [b.targets for b in batches]


def test_pictures_are_prepared_as_on_the_device(tmp_path: Path) -> None:
    card = a_card()
    examples = open_examples(card, class_folders(tmp_path))
    assert (len(examples.train), len(examples.validation)) == (24, 6)
    (train, kept), (classes, kept_classes) = everything(examples)
    assert train.dtype == torch.float32
    assert train.shape == (24, 3, 16, 24)
    # Stratified: each class has its share in both.
    assert classes.bincount().tolist() == [8, 8, 8]
    assert kept_classes.bincount().tolist() == [2, 2, 2]
    assert card.card.preprocess is not None
    device = Preprocessor(card.card.preprocess, card.card.input)
    pairs = zip(torch.cat([train, kept]), torch.cat([classes, kept_classes]), strict=True)
    seen = {image.numpy().tobytes(): int(c) for image, c in pairs}
    out = card.card.input.empty()
    for c, name in enumerate(NAMES):
        for i in range(10):
            device.into(read_image(tmp_path / name / f"{i}.png"), out)
            assert seen.pop(out[0].tobytes()) == c
    assert not seen


def test_a_set_that_does_not_fit_is_streamed_and_is_the_same(tmp_path: Path) -> None:
    class_folders(tmp_path, 400, ("cat", "dog"))
    card = a_card(labels=("cat", "dog"), input={"shape": [1, 3, 48, 48]})
    held, streamed = (open_examples(card, tmp_path, loading=Loading(cache_mb=size)) for size in (512, 1))
    wanted = [[5, 3, 600, 3], [7]]
    for _ in range(2):  # the second time some come out of the cache
        for one, other in zip(held.train.batches(wanted), streamed.train.batches(wanted), strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.targets, other.targets)


def test_the_split_follows_the_seed_and_keeps_groups_whole(tmp_path: Path) -> None:
    for c, name in enumerate(NAMES):
        for clip in range(5):
            for frame in range(3):
                draw(tmp_path / name / f"clip{clip}_frame_{frame}.png", 100 * c + 10 * clip + frame)
    first, again, other = (everything(open_examples(a_card(), tmp_path, seed=s))[0][1] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    held = {image.numpy().tobytes() for image in first}
    card = a_card().card
    assert card.preprocess is not None
    device, out = Preprocessor(card.preprocess, card.input), card.input.empty()
    for name in NAMES:
        for clip in range(5):
            whole = set()
            for frame in range(3):
                device.into(read_image(tmp_path / name / f"clip{clip}_frame_{frame}.png"), out)
                whole.add(out[0].tobytes() in held)
            assert len(whole) == 1


def test_a_divided_set_is_taken_as_it_is(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", 4)
    class_folders(tmp_path / "val", 2, first=1000)
    class_folders(tmp_path / "test", 3, first=2000)
    with pytest.raises(InputError, match="is judged by, and learnt from; 11 more"):
        open_examples(a_card(), tmp_path / "train", validation=tmp_path / "train")
    examples = open_examples(a_card(), tmp_path)
    assert (len(examples.train), len(examples.validation)) == (12, 6)
    # A copy under another name is no other picture.
    shutil.copy(tmp_path / "train/dog/1.png", tmp_path / "val/dog/copy.png")
    with pytest.raises(InputError, match=r"copy\.png is judged by, and learnt from as .*train/dog/1\.png; 0 more"):
        open_examples(a_card(), tmp_path)
    (tmp_path / "val/dog/copy.png").unlink()
    # A test set is left alone, also where there is nothing else to judge by.
    shutil.rmtree(tmp_path / "val")
    shared = open_examples(a_card(), tmp_path)
    assert len(shared.train) + len(shared.validation) == 12


def test_a_table_with_a_column_split(tmp_path: Path) -> None:
    lines = ["file,label,split"]
    for i in range(6):
        draw(tmp_path / f"{i}.png", i)
        lines.append(f"{i}.png,{NAMES[i % 3]},{'train' if i < 3 else 'val'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), "utf-8")
    examples = open_examples(a_card(), tmp_path)
    assert (len(examples.train), len(examples.validation)) == (3, 3)


def test_yolo_boxes_come_to_pixels_of_the_input(tmp_path: Path) -> None:
    for part in ("train", "val"):
        draw(tmp_path / "images" / part / "a.png", len(part), (30, 60))
        label = tmp_path / "labels" / part / "a.txt"
        label.parent.mkdir(parents=True)
        label.write_text("1 0.5 0.5 0.5 1.0\n", "utf-8")
    card = a_card("detect", ("a", "b"), preprocess={"preset": "zero-one", "resize": "letterbox"})
    _, (targets, _) = everything(open_examples(card, tmp_path))
    assert isinstance(targets, BoxTargets)
    # 60x30 becomes 24x12, with 2 rows above.
    assert targets.boxes[0].tolist() == [[6.0, 2.0, 18.0, 14.0]]
    assert targets.class_ids[0].tolist() == [1]


def test_texts_and_numbers(tmp_path: Path) -> None:
    lines = ["file,text,cm"]
    for i in range(10):
        draw(tmp_path / f"{i}.png", i)
        lines.append(f"{i}.png,{'ab' * (1 + i % 3)},{i}.5")
    (tmp_path / "labels.csv").write_text("\n".join(lines), "utf-8")
    _, (texts, _) = everything(open_examples(a_card("text", ("a", "b")), tmp_path))
    assert isinstance(texts, TextTargets)
    assert texts.lengths.sum() == len(texts.symbols)
    assert texts.symbols[:2].tolist() == [0, 1]
    _, (values, _) = everything(open_examples(a_card("regress", ("cm",)), tmp_path))
    assert values.shape == (8, 1)
    assert values.dtype == torch.float32
    with pytest.raises(InputError, match=r"no label for: 'b'"):
        open_examples(a_card("text", ("a", "c")), tmp_path)


def test_several_right_classes_share_a_picture(tmp_path: Path) -> None:
    lines = ["file,label"]
    for i in range(10):
        draw(tmp_path / f"{i}.png", i)
        lines.append(f"{i}.png,{'cat;dog' if i % 2 else 'owl'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), "utf-8")
    _, (targets, _) = everything(open_examples(a_card(), tmp_path))
    assert {tuple(row) for row in targets.tolist()} == {(0.5, 0.5, 0.0), (0.0, 0.0, 1.0)}


def test_bad_data_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    class_folders(tmp_path / "a", 3, ("cat", "dog"))
    with pytest.raises(InputError, match=r"Of 3 classes 'owl' has no picture"):
        open_examples(a_card(), tmp_path / "a")
    assert any("'owl'" in warning for warning in open_examples(a_card(), tmp_path / "a", absent_classes=True).warnings)
    with pytest.raises(InputError, match=r"classes that the model does not: 'dog'"):
        open_examples(a_card(labels=("cat", "owl")), tmp_path / "a")
    class_folders(tmp_path / "b", 1, ("cat",))
    with pytest.raises(InputError, match="1 picture only"):
        open_examples(a_card(labels=("cat",)), tmp_path / "b")
    class_folders(tmp_path / "c", 3, ("cat", "dog"))
    draw(tmp_path / "c/owl/0.png", 1)
    with pytest.raises(InputError, match="'owl' has 1 picture only"):
        open_examples(a_card(), tmp_path / "c")
    (tmp_path / "a/cat/1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"cat/1.png cannot be learnt from") as caught:
        open_examples(a_card(labels=("cat", "dog")), tmp_path / "a")
    assert "edgesdk data check" in caught.value.hint
    with pytest.raises(InputError, match="does not exist"):
        open_examples(a_card(), tmp_path / "nowhere")
    with pytest.raises(InputError, match="states beside its picture"):
        open_examples(a_card(state=[{"input": "h", "output": "h_out", "shape": [1, 4]}]), tmp_path / "a")


def test_a_set_is_known_by_its_pictures_wherever_it_lies(tmp_path: Path) -> None:
    first = class_folders(tmp_path / "a", count=4)
    shutil.copytree(first, tmp_path / "b")

    def digest(folder: Path, **more: Any) -> tuple[str, str]:
        found = open_examples(a_card(), folder, **more)
        assert isinstance(found.train, ListedExamples)
        assert isinstance(found.validation, ListedExamples)
        return found.train.digest(), found.validation.digest()

    whole = digest(first)
    assert digest(tmp_path / "b", loading=Loading(cache_mb=1)) == whole
    assert digest(first, seed=3) != whole
    one = next(iter(sorted((tmp_path / "b").rglob("*.png"))))
    one.write_bytes(one.read_bytes() + b"\0")
    assert digest(tmp_path / "b") != whole
