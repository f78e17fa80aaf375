"""Copies are found and others are not; a leak ends the command with 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from edgesdk.cli.app import run
from edgesdk.data.dedup.align import overlay
from edgesdk.data.dedup.candidates import near_pairs
from edgesdk.data.dedup.find import find_duplicates
from edgesdk.data.index.open_index import open_index
from edgesdk_targets.tensor import Array
from edgesdk_testkit.picture_sets import (
    cropped,
    encoded_again,
    planted_copy,
    resized,
    scene,
    write_class_folders,
    write_picture,
)


def small(picture: Array) -> Array:
    out: Array = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    return out


@pytest.mark.parametrize(
    "copied",
    [
        lambda p: encoded_again(p, 40),
        lambda p: resized(p, 0.5),
        lambda p: resized(p, 1.4),
        lambda p: cropped(p, (0.05, 0.05, 0.05, 0.05)),
        lambda p: cropped(p, (0.05, 0.0, 0.0, 0.04)),
        lambda p: np.clip(p.astype(np.int16) + 3, 0, 255).astype(np.uint8),
    ],
    ids=["encoded", "half", "larger", "cropped", "cropped-at-two-sides", "brighter"],
)
def test_a_copy_fits_over_its_original(copied: object) -> None:
    assert callable(copied)
    for seed in range(10):
        laid = overlay(small(scene(seed)), small(copied(scene(seed))))
        assert laid is not None
        assert laid.is_copy, (seed, laid)


def test_another_picture_does_not_fit_nor_does_a_mirrored_turned_or_recoloured_one() -> None:
    for seed in range(10):
        one = small(scene(seed))
        for other in (small(scene(seed + 100)), one[:, ::-1].copy(), np.rot90(one, 2).copy(), one[:, :, ::-1].copy()):
            laid = overlay(one, other)
            assert laid is None or not laid.is_copy, (seed, laid)


def test_textures_of_one_kind_are_different_pictures() -> None:
    """What inspects surfaces has hundreds of pictures of equal brightness that differ in their grain only."""
    rng = np.random.default_rng(0)
    base = np.linspace(90, 160, 64)[:, None, None] * np.ones((1, 64, 3))
    grains = [np.clip(base + rng.normal(0, 8, (64, 64, 1)), 0, 255).astype(np.uint8) for _ in range(6)]
    for i, one in enumerate(grains):
        for other in grains[:i]:
            laid = overlay(one, other)
            assert laid is None or not laid.is_copy
        same = overlay(one, encoded_again(one, 90))
        assert same is not None
        assert same.is_copy


def test_planted_copies_are_found_among_scenes_and_digits(tmp_path: Path) -> None:
    """At least 99 of 100 copies are found, at most one in a thousand pictures is taken for one; digits are the hard part."""
    rng = np.random.default_rng(1)
    digits = [np.kron(d, np.ones((6, 6))) * 15.9 for d in load_digits().images[:200]]
    pictures = [scene(seed, (90, 120)) for seed in range(250)]
    pictures += [cv2.cvtColor(d.astype(np.uint8), cv2.COLOR_GRAY2BGR) for d in digits]
    for number, picture in enumerate(pictures):
        write_picture(tmp_path / f"{number:04d}.png", picture)
    planted = {int(n) for n in rng.permutation(len(pictures))[:120]}
    for number in planted:
        write_picture(tmp_path / f"{number:04d}_copy.png", planted_copy(pictures[number], rng))
    found = find_duplicates(open_index([tmp_path]))
    pairs = {tuple(sorted(item.name for item in group.items)) for group in found.groups}
    right = {(f"{number:04d}.png", f"{number:04d}_copy.png") for number in planted}
    assert len(right & pairs) >= 0.99 * len(right), sorted(right - pairs)
    assert len(pairs - right) <= 0.001 * len(pictures), sorted(pairs - right)


def test_a_slow_pan_is_not_one_picture(tmp_path: Path) -> None:
    """Each frame is near to the next, the last not to the first: copies are copies of what is kept."""
    wide = scene(3, (100, 400))
    for number in range(40):
        write_picture(tmp_path / f"{number:02d}.png", wide[:, number * 5 : number * 5 + 200])
    found = find_duplicates(open_index([tmp_path]))
    kept = len(found.index) - found.copies
    assert 4 <= kept <= 20


def test_leaks_wrong_labels_and_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_class_folders(tmp_path / "train", {"cat": 6, "dog": 6})
    write_class_folders(tmp_path / "test", {"cat": 3, "dog": 3}, first=100)
    assert run(["data", "dedup", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["copies"] == 0
    shutil.copy(tmp_path / "train/cat/0000.png", tmp_path / "train/dog/again.png")
    planted = encoded_again(resized(cv2.imread(str(tmp_path / "train/cat/0003.png")), 0.8))
    write_picture(tmp_path / "test/cat/leak.jpg", planted)
    (tmp_path / "train/cat/bad.png").write_bytes(b"")
    assert run(["data", "dedup", str(tmp_path), "--json", "--report", str(tmp_path / "copies.html")]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["copies"], told["leaks"], told["labels_differ"], len(told["unread"])) == (2, 1, 1, 1)
    leak, wrong = told["groups"]
    assert leak["kept"] == "test/cat/leak.jpg", "what is tested on stays"
    assert leak["copies"] == [{"name": "train/cat/0003.png", "split": "train", "how": "near"}]
    assert wrong["copies"][0]["how"] == "exact"
    assert "Leaks" in (tmp_path / "copies.html").read_text()
    assert run(["data", "dedup", str(tmp_path / "train"), str(tmp_path / "test"), "--exact"]) == 0


def test_one_picture_has_no_copies(tmp_path: Path) -> None:
    write_picture(tmp_path / "one.png", scene(0))
    assert find_duplicates(open_index([tmp_path])).groups == ()


def test_the_search_for_near_pictures_says_how_far_it_is() -> None:
    cloud = np.random.default_rng(0).normal(size=(2500, 8)).astype(np.float32)
    told: list[str] = []
    pairs = near_pairs(cloud, told.append)
    assert told == [f"nearest of {done} of 2500 pictures" for done in (1024, 2048, 2500)]
    assert pairs == near_pairs(cloud)
