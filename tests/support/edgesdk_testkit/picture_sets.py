"""Sets of drawn pictures in every layout, and copies of pictures as they come about in real sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgesdk_targets.tensor import Array


def scene(seed: int, size: tuple[int, int] = (120, 160)) -> Array:
    """Draw a picture (H, W, 3) uint8: clouds whose energy falls with frequency, as in photos, and some shapes."""
    rng = np.random.default_rng(seed)
    height, width = size
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width
    falling = 1 / np.maximum(1.0, np.hypot(fy, fx)) ** 1.2
    planes = []
    for _ in range(3):
        waves = falling * np.exp(2j * np.pi * rng.random(falling.shape))
        plane = np.fft.irfft2(waves, s=size)
        planes.append((plane - plane.mean()) / plane.std() * rng.uniform(15, 40) + rng.uniform(70, 180))
    picture = np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(2, 6))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        radius = int(rng.integers(5, max(6, height // 4)))
        if rng.random() < 0.5:
            cv2.circle(picture, centre, radius, colour, -1)
        else:
            cv2.rectangle(picture, centre, (centre[0] + radius, centre[1] + radius // 2), colour, -1)
    return picture


def encoded_again(picture: Array, quality: int = 60) -> Array:
    """Return a picture after a JPEG of this quality."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    out: Array = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return out


def resized(picture: Array, factor: float) -> Array:
    out: Array = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return out


def cropped(picture: Array, sides: Sequence[float]) -> Array:
    """Cut these shares off left, top, right and bottom."""
    height, width = picture.shape[:2]
    left, top, right, bottom = sides
    return picture[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]


def planted_copy(picture: Array, rng: np.random.Generator) -> Array:
    """Return a picture encoded again, and perhaps resized (0.5 to 1.5), perhaps cropped by up to 5 % a side."""
    if rng.random() < 0.5:
        picture = resized(picture, float(rng.uniform(0.5, 1.5)))
    if rng.random() < 0.5:
        picture = cropped(picture, [float(v) for v in rng.uniform(0, 0.05, 4)])
    return encoded_again(picture, int(rng.integers(40, 96)))


def write_picture(path: Path, picture: Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def write_class_folders(folder: Path, counts: dict[str, int], *, first: int = 0, suffix: str = ".png") -> Path:
    """Write `CLASS/NNNN.png`, every picture another scene; seeds count on from `first`."""
    seed = first
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            write_picture(folder / name / f"{seed:04d}{suffix}", scene(seed, (60, 80)))
            seed += 1
    return folder


def write_yolo(folder: Path, classes: Sequence[Sequence[int]], *, names: Sequence[str] = ("cat", "dog")) -> Path:
    """Write a YOLO dataset: of each picture the class numbers of its boxes."""
    for seed, numbers in enumerate(classes):
        write_picture(folder / "images" / f"{seed:04d}.jpg", scene(seed, (60, 80)))
        label = folder / "labels" / f"{seed:04d}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(f"{number} 0.5 0.5 0.2 0.2\n" for number in numbers))
    (folder / "classes.txt").write_text("\n".join(names) + "\n")
    return folder


def write_coco(folder: Path, classes: Sequence[Sequence[int]], *, names: Sequence[str] = ("cat", "dog")) -> Path:
    """Write a COCO dataset; category ids are 10 times the class numbers."""
    annotations = []
    for seed, numbers in enumerate(classes):
        write_picture(folder / "images" / f"{seed:04d}.jpg", scene(seed, (60, 80)))
        annotations += [
            {"id": 100 * seed + i, "image_id": seed, "category_id": 10 * number, "bbox": [4, 4, 20, 20]}
            for i, number in enumerate(numbers)
        ]
    document = {
        "images": [
            {"id": seed, "file_name": f"{seed:04d}.jpg", "width": 80, "height": 60} for seed in range(len(classes))
        ],
        "annotations": annotations,
        "categories": [{"id": 10 * number, "name": name} for number, name in enumerate(names)],
    }
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances.json").write_text(json.dumps(document))
    return folder


def write_table(folder: Path, labels: Sequence[str]) -> Path:
    """Write `labels.csv` with its pictures."""
    for seed in range(len(labels)):
        write_picture(folder / f"{seed:04d}.png", scene(seed, (60, 80)))
    rows = "".join(f"{seed:04d}.png,{label}\n" for seed, label in enumerate(labels))
    (folder / "labels.csv").write_text("file,label\n" + rows)
    return folder


def huge_png(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG of a few hundred bytes that declares gigabytes of pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
