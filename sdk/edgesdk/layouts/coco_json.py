"""COCO's JSON: pictures, categories and boxes `[x, y, width, height]` in pixels; crowds are kept as such."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.layouts.class_names import ClassNames
from edgesdk.layouts.named_files import find_picture, missing
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError

_MAX_BYTES = 1 << 30
_PARTS = ("images", "annotations", "categories")


def find_coco(folder: Path) -> Path | None:
    """Return the one COCO file in `folder` or its `annotations/`.

    Raises:
        InputError: there are several.
    """
    found = [p for p in sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")]) if looks_like_coco(p)]
    if len(found) > 1:
        raise InputError(
            f"{folder} holds several COCO files: {', '.join(p.name for p in found)}.",
            hint="Give one of them as --data.",
        )
    return found[0] if found else None


def read_coco(path: Path, labels: tuple[str, ...]) -> list[BoxSample]:
    """Read a COCO file.

    Raises:
        InputError: it is malformed, or names a picture or class that is not there.
    """
    data = load_coco(path)
    class_of = _classes(data, path, ClassNames(labels))
    boxes: dict[Any, list[tuple[list[float], int, bool]]] = defaultdict(list)
    for i, entry in enumerate(data["annotations"]):
        where = f"{path}: annotations[{i}]"
        category = _key(entry, "category_id", where)
        box = read_box(_field(entry, "bbox", where), where)
        if category not in class_of:
            raise InputError(f"{where}: category_id {category!r} is none of the categories.", hint="Correct the file.")
        boxes[_key(entry, "image_id", where)].append((box, class_of[category], bool(entry.get("iscrowd", 0))))
    samples = _samples(data["images"], path, boxes)
    if boxes:
        raise InputError(
            f"{path}: annotations of pictures that are not listed: {next(iter(boxes))!r}.", hint="Correct the file."
        )
    return samples


def _samples(images: list[Any], path: Path, boxes: dict[Any, list[tuple[list[float], int, bool]]]) -> list[BoxSample]:
    """Join pictures and boxes; what is used is taken out of `boxes`."""
    folders = picture_folders(path)
    samples: list[BoxSample] = []
    absent: list[str] = []
    for i, entry in enumerate(images):
        where = f"{path}: images[{i}]"
        name, rows = str(_field(entry, "file_name", where)), boxes.pop(_key(entry, "id", where), [])
        found = find_picture(folders, name, where)
        if found is None:
            absent.append(name)
            continue
        truth = Truth(
            np.asarray([row[0] for row in rows], np.float64).reshape(-1, 4),
            np.asarray([row[1] for row in rows], np.int64),
            np.asarray([row[2] for row in rows], bool),
        )
        samples.append(BoxSample(found, truth, fractions=False))
    if absent:
        raise missing(f"{path} lists pictures that are not there", absent, "Put them beside the file or in images/.")
    return samples


def picture_folders(path: Path) -> Sequence[Path]:
    """Return where the pictures of `instances_val2017.json` may lie."""
    split = path.stem.rpartition("_")[2]
    roots = (path.parent, path.parent.parent) if path.parent.name == "annotations" else (path.parent,)
    return [folder for root in roots for folder in (root, root / "images", root / split, root / "images" / split)]


def _classes(data: dict[str, Any], path: Path, names: ClassNames) -> dict[Any, int]:
    """Return the model's class for each category that is used."""
    annotations = enumerate(data["annotations"])
    used = {_key(entry, "category_id", f"{path}: annotations[{i}]") for i, entry in annotations}
    found: dict[Any, int] = {}
    unknown: list[str] = []
    for i, entry in enumerate(data["categories"]):
        where = f"{path}: categories[{i}]"
        key, name = _key(entry, "id", where), str(_field(entry, "name", where))
        class_id = names.find(name)
        if class_id is not None:
            found[key] = class_id
        elif key in used:
            unknown.append(name)
    if unknown:
        raise names.unknown(unknown, str(path))
    return found


def load_coco(path: Path) -> dict[str, Any]:
    """Read a COCO file's lists; their entries are unchecked.

    Raises:
        InputError: it is no such file.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than {_MAX_BYTES >> 30} GiB.", hint="Split the dataset.")
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}.", hint="Give a COCO file in JSON.") from error
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in _PARTS):
        raise InputError(f"{path} is no COCO file: it needs the lists {', '.join(_PARTS)}.", hint="Check the file.")
    return data


def looks_like_coco(path: Path) -> bool:
    """Tell by its head whether a JSON file may be one of COCO's."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    return any(f'"{part}"'.encode() in head for part in _PARTS)


def _field(entry: Any, name: str, where: str) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        raise InputError(f"{where}: {name} is missing.", hint="Correct the file.")
    return entry[name]


def _key(entry: Any, name: str, where: str) -> int | str:
    value = _field(entry, name, where)
    if not isinstance(value, (int, str)):
        raise InputError(f"{where}: {name} must be a number, not {value!r:.40}.", hint="Correct the file.")
    return value


def read_box(value: Any, where: str) -> list[float]:
    """Return x1 y1 x2 y2 of a `bbox`.

    Raises:
        InputError: it is no box of finite numbers.
    """
    numbers = isinstance(value, list) and len(value) == 4 and all(isinstance(v, (int, float)) for v in value)
    if not numbers or not all(math.isfinite(v) for v in value) or min(value[2:]) < 0:
        raise InputError(f"{where}: bbox must be [x, y, width, height], not {value!r:.60}.", hint="Correct the file.")
    x, y, width, height = value
    return [x, y, x + width, y + height]
