"""Pictures labelled by what a float model answers, so that what is made of it is judged by how far it still agrees."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
from table.asset_pictures import Picture
from table.figures import STRONG
from table.float_model import ask_float

from edgesdk_converters.source import resolve_source


def labelled_by(card: Path, pictures: Iterable[Picture], folder: Path) -> Path:
    """Write pictures with a model's answers as their labels, once: its first class, or its strong boxes.

    Args:
        card: of the model.

    Returns:
        The folder, with `labels.csv` (classes, and which pictures count once) or in YOLO's form (boxes).
    """
    if folder.exists():
        return folder
    partial, source, found = folder.with_suffix(".partial"), resolve_source(card), list(pictures)
    answers = ask_float(source, [picture.image for picture in found])
    lines = [("file", "label", "group")]
    for number, (picture, answer) in enumerate(zip(found, answers, strict=True)):
        name = f"images/{number:04d}.png"
        _write(partial / name, picture)
        if source.card.task == "classify":
            lines.append((name, str(answer["class_ids"][0]), picture.unit))
        else:
            _write_boxes(partial / "labels" / f"{number:04d}.txt", picture, answer)
    if source.card.task == "classify":
        with (partial / "labels.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    partial.rename(folder)
    return folder


def _write(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture.image):
        raise SystemExit(f"{path} could not be written: is the disk full?")


def _write_boxes(path: Path, picture: Picture, answer: dict[str, Any]) -> None:
    height, width = picture.image.shape[:2]
    lines = []
    for box, score, name in zip(answer["boxes"], answer["scores"], answer["class_ids"], strict=True):
        if score >= STRONG:
            x1, x2 = (min(max(box[place] / width, 0.0), 1.0) for place in (0, 2))
            y1, y2 = (min(max(box[place] / height, 0.0), 1.0) for place in (1, 3))
            lines.append(f"{name} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), "utf-8")
