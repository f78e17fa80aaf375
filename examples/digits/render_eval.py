"""Render labelled evaluation sets from the test split, in the forms that `edgesdk evaluate --data DIR` reads.

    python render_eval.py detector DIR [--count 200] [--seed 100] [--split train]

Pictures for INT8 calibration come from the training split: a model is never calibrated on what it is judged on.

- detector: `images/*.png` and `labels/*.txt` (YOLO: class, centre x, centre y, width, height, 0..1), `classes.txt`
- classifier: one folder a class, `0/` to `9/`
- row_reader: `rows/*.png` and `labels.csv` with the columns file, text
- row_reader_stream: `clips/0000/0000.png …`, one strip a frame, and `labels.csv` with the columns folder, text
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from make_data import Digits, train_split
from numpy.typing import NDArray
from render_pictures import STRIP_WIDTH, Renderer

from edgesdk_agent.cameras.conveyor import load_digits
from edgesdk_agent.cameras.conveyor_scene import HEIGHT, WIDTH, ConveyorScene

Array = NDArray[Any]

_FRAME_STEP = 11  # between two frames that are kept, so that neighbours differ


def render_detector(digits: Digits, folder: Path, count: int, seed: int) -> None:
    """Write `count` conveyor frames with YOLO labels."""
    scene = ConveyorScene(digits.images, digits.labels, seed=seed)
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        index = number * _FRAME_STEP
        scene.draw(index, frame)
        _write_picture(folder / "images" / f"{number:04d}.png", frame)
        truth = scene.truth(index)
        lines = [f"{label} {_yolo(box)}\n" for box, label in zip(truth.boxes, truth.labels, strict=True)]
        (folder / "labels" / f"{number:04d}.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "classes.txt").write_text("".join(f"{digit}\n" for digit in range(10)), encoding="utf-8")


def render_classifier(digits: Digits, folder: Path, count: int, seed: int) -> None:
    """Write `count` pictures of single digits into class folders."""
    source = Renderer(digits, seed)
    for number in range(count):
        image, label = source.crop()
        _write_picture(folder / str(label) / f"{number:04d}.png", image)


def render_row_reader(digits: Digits, folder: Path, count: int, seed: int, *, spread: float = 1.0) -> None:
    """Write `count` pictures of rows with their text; `spread` as of `Renderer`."""
    source, lines = Renderer(digits, seed, spread=spread), [("file", "text")]
    for number in range(count):
        row, name = source.row(), f"rows/{number:04d}.png"
        _write_picture(folder / name, row.image)
        lines.append((name, row.text))
    _write_table(folder / "labels.csv", lines)


def render_row_reader_stream(digits: Digits, folder: Path, count: int, seed: int) -> None:
    """Write `count` clips, each the strips of one row in the order in which a line camera sees them."""
    source, lines = Renderer(digits, seed), [("folder", "text")]
    for number in range(count):
        row, name = source.row(), f"clips/{number:04d}"
        for strip in range(row.image.shape[1] // STRIP_WIDTH):
            window = row.image[:, strip * STRIP_WIDTH : (strip + 1) * STRIP_WIDTH]
            _write_picture(folder / name / f"{strip:04d}.png", window)
        lines.append((name, row.text))
    _write_table(folder / "labels.csv", lines)


SETS: dict[str, Callable[[Digits, Path, int, int], None]] = {
    "detector": render_detector,
    "classifier": render_classifier,
    "row_reader": render_row_reader,
    "row_reader_stream": render_row_reader_stream,
}


def main() -> None:
    """Render the set that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=SETS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200, help="how many frames, pictures or clips")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--split", choices=("test", "train"), default="test", help="train needs scikit-learn")
    options = parser.parse_args()
    digits = train_split() if options.split == "train" else Digits(*load_digits())
    SETS[options.model](digits, options.folder, options.count, options.seed)
    print(f"{options.folder}: {options.count} labelled samples for {options.model}, seed {options.seed}")


def _yolo(box: Array) -> str:
    x1, y1, x2, y2 = (float(value) for value in box)
    values = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
    return " ".join(f"{value:.6f}" for value in values)


def _write_picture(path: Path, image: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise SystemExit(f"{path} could not be written: is the disk full?")


def _write_table(path: Path, lines: list[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
