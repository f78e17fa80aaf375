"""YOLO text: `images/NAME.jpg` and `labels/NAME.txt` with a line `class cx cy width height` for each object.

Numbers are fractions of the picture's sides. An empty file says that there is nothing in the picture; no file at all is
an error, as nobody can tell whether it was lost. Class numbers are the model's own, unless `classes.txt` or `data.yaml`
names them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.layouts.class_names import ClassNames
from edgesdk.layouts.named_files import missing
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import IMAGE_SUFFIXES
from edgesdk_targets.yaml_file import load_yaml

_MAX_LABEL_BYTES = 8 << 20
# Exporters round: a box at the border may reach out by a hair.
_OVER = 1e-3


def read_yolo(folder: Path, labels: tuple[str, ...]) -> list[BoxSample]:
    """Read a dataset in YOLO's layout; folders inside `images/` are followed.

    Raises:
        InputError: a picture has no label file, or a line is wrong (file and line are named).
    """
    pictures = folder / "images"
    found = sorted(p for p in pictures.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if pictures.is_dir() else []
    if not found:
        raise InputError(f"{pictures} holds no pictures.", hint="Put them there, and a text file each in labels/.")
    files = [(p, folder / "labels" / p.relative_to(pictures).with_suffix(".txt")) for p in found]
    absent = [path.name for path, label in files if not label.is_file()]
    if absent:
        raise missing(
            f"Pictures without a file in {folder / 'labels'}",
            absent,
            "Write an empty file for a picture without objects.",
        )
    with_label = {label for _, label in files}
    alone = sorted(
        p.name for p in (folder / "labels").rglob("*.txt") if p not in with_label and p.name != "classes.txt"
    )
    if alone:
        raise missing(f"Label files without a picture in {pictures}", alone, "Delete them, or put their pictures back.")
    names = ClassNames(labels)
    named = named_classes(folder)
    numbers = None if named is None else {i: names.find(name) for i, name in named.items()}
    return [BoxSample(path, _read(label, names, numbers), fractions=True) for path, label in files]


def _read(path: Path, names: ClassNames, numbers: dict[int, int | None] | None) -> Truth:
    boxes: list[tuple[float, ...]] = []
    class_ids: list[int] = []
    for number, class_id, box in read_boxes(path):
        known = names.checked(class_id) if numbers is None else numbers.get(class_id)
        if known is None:
            raise names.unknown([str(class_id)], f"{path}:{number}")
        class_ids.append(known)
        boxes.append(box)
    return Truth(np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(class_ids, np.int64))


def read_boxes(path: Path) -> list[tuple[int, int, tuple[float, float, float, float]]]:
    """Read a label file: of each object its line, its class number, and x1 y1 x2 y2 in fractions of the picture's sides.

    Raises:
        InputError: it cannot be read, or a line is wrong (file and line are named).
    """
    try:
        if path.stat().st_size > _MAX_LABEL_BYTES:
            raise InputError(f"{path} is larger than {_MAX_LABEL_BYTES >> 20} MiB.", hint="This is no label file.")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", hint="Save it as text.") from error
    return [(i, *_parse(line, f"{path}:{i}")) for i, line in enumerate(lines, 1) if line.strip()]


def _parse(line: str, where: str) -> tuple[int, tuple[float, float, float, float]]:
    parts = line.split()
    try:
        class_id, (cx, cy, width, height) = int(parts[0]), (float(part) for part in parts[1:])
    except ValueError:
        raise InputError(
            f"{where}: must be `class cx cy width height`, not {line[:60]!r}.",
            hint="Five numbers a line; polygons and keypoints are no boxes.",
        ) from None
    sides = (cx, cy, width, height)
    if not all(math.isfinite(v) and -_OVER <= v <= 1 + _OVER for v in sides) or min(width, height) <= 0:
        raise InputError(
            f"{where}: cx, cy, width and height must be fractions of the picture, not {line[:60]!r}.",
            hint="Divide pixels by the picture's width and height.",
        )
    return class_id, (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)


def named_classes(folder: Path) -> dict[int, str] | None:
    """Return the names of a dataset's class numbers, from `classes.txt` or `data.yaml`; None where it names none."""
    listed = folder / "classes.txt"
    if listed.is_file():
        texts = [line.strip() for line in listed.read_text("utf-8", errors="replace").splitlines()]
        return {i: text for i, text in enumerate(texts) if text}
    description = next((folder / n for n in ("data.yaml", "dataset.yaml") if (folder / n).is_file()), None)
    if description is None:
        return None
    data: Any = load_yaml(description).data
    given = data.get("names") if isinstance(data, dict) else None
    if isinstance(given, list):
        given = dict(enumerate(given))
    if not isinstance(given, dict):
        return None
    return {int(i): str(name) for i, name in given.items() if str(i).isdecimal()}
