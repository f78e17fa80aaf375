"""The measure of likeness on real photos and frames: its thresholds stand between what is the same and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edgesdk_converters.calibration.calibration_set import open_calibration, overlap
from edgesdk_converters.calibration.likeness import Seen, likeness_of
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.tensor import Array

pytestmark = pytest.mark.real


def _again(picture: Array, suffix: str, *options: int) -> Array:
    done: Array = cv2.imdecode(cv2.imencode(suffix, picture, list(options))[1], cv2.IMREAD_COLOR)
    return done


def _scaled(picture: Array, factor: float) -> Array:
    done: Array = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return done


SAME: dict[str, Callable[[Array], Array]] = {
    "JPEG 95": lambda p: _again(p, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95),
    "JPEG 40": lambda p: _again(p, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 40),
    "WebP 80": lambda p: _again(p, ".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "half": lambda p: _scaled(p, 0.5),
    "quarter": lambda p: _scaled(p, 0.25),
}


@pytest.fixture(scope="module")
def photos(assets: Path) -> list[Array]:
    folders = [assets / "classification/images", assets / "detection_coco/images", assets / "face/images"]
    files = sorted(p for f in folders for p in f.iterdir() if p.suffix in {".jpg", ".png", ".bmp"})
    assert len(files) > 30
    return [read_image(file) for file in files]


def test_a_photo_saved_again_is_known_and_another_photo_is_not(photos: list[Array]) -> None:
    likenesses = [likeness_of(photo) for photo in photos]
    for name, change in SAME.items():
        for photo, likeness in list(zip(photos, likenesses, strict=True))[::2]:
            seen = Seen()
            seen.add(likeness)
            assert seen.near(likeness_of(change(photo))) == 0, name
    for one, other in itertools.combinations(likenesses, 2):
        seen = Seen()
        seen.add(one)
        assert seen.near(other) is None


def test_a_jpeg_of_an_evaluation_picture_is_found(assets: Path, tmp_path: Path) -> None:
    evaluation = sorted((assets / "detection_coco/images").iterdir())
    others = sorted(p for p in (assets / "classification/images").iterdir() if p.suffix in {".bmp", ".jpg", ".png"})
    for place, file in enumerate([*others, evaluation[4]]):
        cv2.imwrite(str(tmp_path / f"{place}.jpg"), read_image(file), [cv2.IMWRITE_JPEG_QUALITY, 60])
    found = overlap(open_calibration(tmp_path), evaluation)
    assert [(shared.evaluation, shared.kind) for shared in found] == [(evaluation[4], "near")]


def test_frames_of_a_real_video_are_spread_and_differ(assets: Path) -> None:
    chosen = open_calibration(assets / "video/bottle-detection.mp4", count=32)
    numbers = sorted(map(int, chosen.names))
    assert len(chosen) == 32
    assert numbers[-1] - numbers[0] > 900  # of 1,189
    again = [likeness_of(picture) for picture in chosen]
    assert [likeness.pixels for likeness in again] == [likeness.pixels for likeness in chosen.likenesses]
