"""What belongs together counts once: named groups, frames of a video, equal pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.groups import mean_by_unit, thumbnail, units_of
from edgesdk.layouts.group_names import read_groups, video_of
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array
from edgesdk_testkit.coloured_models import COLOURS, write_colours


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("gate_frame_0012.jpg", "a/gate"),
        ("gate-frame12.png", "a/gate"),
        ("frame_0012.jpg", "a/"),
        ("cam1.mp4_000012.jpg", "a/cam1.mp4"),
        ("Cam1.MOV-12.jpg", "a/Cam1.MOV"),
        # Numbered, as most datasets are; and words that only look alike.
        ("cat_0012.jpg", None),
        ("0012.jpg", None),
        ("IMG_0012.jpg", None),
        ("000000000139.jpg", None),
        ("mainframe12.jpg", None),
        ("picture_frame.jpg", None),
    ],
)
def test_frames_are_known_by_name(name: str, video: str | None) -> None:
    assert video_of(Path("a") / name) == video


def noise(seed: int, count: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.stack([thumbnail(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)) for _ in range(count)])


def test_different_pictures_are_apart() -> None:
    assert units_of([None] * 600, noise(0, 600), {}).tolist() == list(range(600))


def test_the_same_picture_twice_is_one_also_with_noise_of_compression() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (64, 64, 3)).astype(np.int16)
    again = np.clip(image + rng.integers(-2, 3, image.shape), 0, 255)
    other = rng.integers(0, 256, (64, 64, 3))
    thumbnails = np.stack([thumbnail(x.astype(np.uint8)) for x in (image, other, again)])
    units = units_of([None] * 3, thumbnails, {})
    assert units[0] == units[2]
    assert units[0] != units[1]


def test_chains_are_joined() -> None:
    """a is like b, b is like c: one unit, though a and c are too far apart; also over what a group names."""
    base = noise(2, 1)[0]
    step = noise(3, 1)[0]
    step *= 0.015 * base.std() / np.sqrt((step**2).mean())
    thumbnails = np.stack([base, base + step, base + 2 * step, *noise(4, 2)])
    assert len(set(units_of([None] * 5, thumbnails, {})[:3].tolist())) == 1
    named = {Path("a"): "x", Path("d"): "x"}
    units = units_of([Path("a"), Path("b"), Path("c"), Path("d"), Path("e")], thumbnails, named)
    assert [units[0] == unit for unit in units] == [True, True, True, True, False]


def test_many_copies_are_one() -> None:
    assert units_of([None] * 900, np.repeat(noise(5, 1), 900, axis=0), {}).max() == 0


def test_mean_by_unit() -> None:
    assert mean_by_unit(np.asarray([1.0, 0, 1, 1]), np.asarray([0, 0, 2, 1])).tolist() == [0.5, 1, 1]


def test_a_table_of_groups(tmp_path: Path) -> None:
    write_colours(tmp_path, 4)
    (tmp_path / "groups.csv").write_text("file,group\nimages/0000.png,a\nimages/0001.png,a\n")
    dataset = open_dataset(tmp_path, task="classify", labels=COLOURS)
    assert {path.name: group for path, group in dataset.groups.items() if path.is_file()} == {
        "0000.png": "a", "0001.png": "a",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,video\na,b\n", "must have the columns file,group"),
        ("file,group\nimages/0000.png,\n", r"groups.csv:2: file or group is missing"),
        ("file,group\nsomewhere/else.png,a\n", "name none of its pictures"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, table: str, says: str) -> None:
    write_colours(tmp_path, 4)
    (tmp_path / "groups.csv").write_text(table)
    with pytest.raises(InputError, match=says):
        open_dataset(tmp_path, task="classify", labels=COLOURS)


def test_no_table_is_no_group(tmp_path: Path) -> None:
    write_colours(tmp_path, 2)
    assert read_groups(tmp_path) == {}
