"""Two models of a few lines, run through the device's own preprocessing and decoding, and pictures for them.

The classifier tells six colours apart, the detector finds coloured squares on a grid of cells. Both see noisy pictures, so
they are right often and not always, like trained ones; and both can be harmed in the ways that conversions harm models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgesdk_converters.proving.predictor import Predictor
from edgesdk_targets.card import ModelCard
from edgesdk_targets.tensor import TensorSpec

Array = NDArray[Any]

COLOURS = ("red", "green", "blue", "olive", "purple", "teal")
# Red, green, blue of each; near enough to each other that noise mixes some up.
_RGB = np.asarray(
    [[170, 70, 60], [60, 160, 70], [70, 60, 170], [130, 130, 50], [140, 60, 130], [50, 130, 140]], np.float32
)
_SIDE = 8
_CELLS, _CELL = 4, 64
CANVAS = _CELLS * _CELL


def colour_predictor(
    change: Callable[[Array], Array] | None = None, *, color: str = "rgb", mean: float = 128, task: str = "classify"
) -> Predictor:
    """Return the classifier, the same as an embedder, or as an estimator of its first three logits.

    Args:
        change: what a conversion did to the logits (6,).
        color, mean: of the preprocessing; others than the usual are mistakes.
    """
    spec = TensorSpec(name="image", shape=(1, 3, _SIDE, _SIDE), dtype="float32", layout="NCHW")
    width = {"classify": 6, "embed": 3, "regress": 3}[task]
    name = {"classify": "logits", "embed": "embedding", "regress": "values"}[task]
    card = ModelCard.model_validate(
        {
            "name": "colours",
            "task": task,
            "input": {"shape": [1, 3, _SIDE, _SIDE], "dtype": "float32"},
            "preprocess": {"color": color, "resize": "stretch", "mean": [mean] * 3, "std": [64] * 3},
        }
    )
    prototypes = (_RGB - 128) / 64

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        seen = feeds["image"][0].mean(axis=(1, 2))
        logits = -4 * ((prototypes - seen) ** 2).sum(axis=1)
        answer = logits if task == "classify" else seen
        return {name: np.asarray(change(answer) if change else answer, np.float32)[None]}

    labels = COLOURS if task == "classify" else ()
    return Predictor(run, (spec,), (TensorSpec(name=name, shape=(1, width), dtype="float32"),), card, labels)


def colour_picture(rng: np.random.Generator, colour: int, noise: float = 22.0) -> Array:
    """Return a picture of one colour, (8, 8, 3) uint8 BGR, off by noise as a whole and in each pixel."""
    rgb = _RGB[colour] + rng.normal(0, noise, 3) + rng.normal(0, 8, (_SIDE, _SIDE, 3))
    return np.ascontiguousarray(np.clip(rgb, 0, 255).astype(np.uint8)[..., ::-1])


def write_colours(folder: Path, count: int, *, seed: int = 0, shares: Sequence[float] | None = None) -> list[int]:
    """Write `labels.csv` with pictures of colours in random order, and return their classes."""
    rng = np.random.default_rng(seed)
    classes = [int(c) for c in rng.choice(len(COLOURS), count, p=shares)]
    (folder / "images").mkdir(parents=True)
    for i, c in enumerate(classes):
        cv2.imwrite(str(folder / "images" / f"{i:04d}.png"), colour_picture(rng, c))
    write_labels(folder, classes)
    return classes


def write_labels(folder: Path, classes: Sequence[int]) -> None:
    """Write the table of `write_colours` with these classes."""
    rows = [f"{i:04d}.png,{COLOURS[c]}" for i, c in enumerate(classes)]
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(rows) + "\n", "utf-8")


def square_predictor(change: Callable[[dict[str, Array]], dict[str, Array]] | None = None) -> Predictor:
    """Return the detector.

    Args:
        change: what a conversion did to `boxes` (1, 16, 4) and `scores` (1, 16, 3).
    """
    spec = TensorSpec(name="image", shape=(1, 3, CANVAS, CANVAS), dtype="float32", layout="NCHW")
    card = ModelCard.model_validate(
        {
            "name": "squares",
            "task": "detect",
            "input": {"shape": [1, 3, CANVAS, CANVAS], "dtype": "float32"},
            "preprocess": {"color": "rgb", "resize": "stretch", "mean": [0] * 3, "std": [255] * 3},
        }
    )
    corner = np.asarray([(x * _CELL, y * _CELL) for y in range(_CELLS) for x in range(_CELLS)], np.float32)
    boxes = np.concatenate([corner, corner + _CELL], axis=1)

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        cells = feeds["image"][0].reshape(3, _CELLS, _CELL, _CELLS, _CELL).mean(axis=(2, 4)).reshape(3, -1).T
        others = (cells.sum(axis=1, keepdims=True) - cells) / 2
        scores = 1 / (1 + np.exp(-12 * (cells - others - 0.3)))
        outputs = {"boxes": boxes[None].copy(), "scores": scores[None].astype(np.float32)}
        return change(outputs) if change else outputs

    outputs = (
        TensorSpec(name="boxes", shape=(1, 16, 4), dtype="float32"),
        TensorSpec(name="scores", shape=(1, 16, 3), dtype="float32"),
    )
    return Predictor(run, (spec,), outputs, card, COLOURS[:3], postprocess={"score_threshold": 0.001})


def write_squares(folder: Path, count: int, *, seed: int = 0) -> None:
    """Write pictures with red, green and blue squares, and their boxes as YOLO text."""
    rng = np.random.default_rng(seed)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for i in range(count):
        small = rng.normal(40, 12, (_CELLS, _CELLS, 3))
        lines = []
        for cell in rng.choice(_CELLS * _CELLS, rng.integers(1, 5), replace=False):
            y, x, c = cell // _CELLS, cell % _CELLS, int(rng.integers(0, 3))
            small[y, x, 2 - c] += rng.normal(120, 30)
            lines.append(f"{c} {(x + 0.5) / _CELLS} {(y + 0.5) / _CELLS} {1 / _CELLS} {1 / _CELLS}")
        image = cv2.resize(np.clip(small, 0, 255).astype(np.uint8), (CANVAS, CANVAS), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / "images" / f"{i:04d}.png"), image)
        (folder / "labels" / f"{i:04d}.txt").write_text("\n".join(lines) + "\n", "utf-8")


def one_scale(outputs: dict[str, Array]) -> dict[str, Array]:
    """Quantise boxes and scores to int8 with one scale, as a head does that joins them in one tensor."""
    scale = max(float(np.abs(array).max()) for array in outputs.values()) / 127
    return {name: (np.round(array / scale) * scale).astype(np.float32) for name, array in outputs.items()}
