"""Write some items of a dataset to a folder, with their labels, in the dataset's own layout.

What is written is itself a dataset: `edgesdk evaluate --data` reads it, and so does `edgesdk data`. Of a table or a COCO file the
rows of these pictures are kept, whole; a video becomes pictures whose names still say which video they come from.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edgesdk.data.index.inside import leads_out
from edgesdk.data.index.item import Index, Item, Layout, Part
from edgesdk.data.writing.put import PutAll
from edgesdk.layouts.coco_json import load_coco
from edgesdk.layouts.group_names import video_of
from edgesdk.layouts.labels_csv import read_rows

_GROUPS = "groups.csv"
# Where YOLO's datasets name their classes.
_NAMING = ("classes.txt", "data.yaml", "dataset.yaml")


def write_subset(index: Index, items: Sequence[Item], folder: Path, put_all: PutAll) -> int:
    """Write items to a folder; return how many were.

    Args:
        folder: exists, and is empty.
    """
    below = folder / "images" if index.layout in {Layout.YOLO, Layout.COCO} else folder
    targets = {item: below / place for item, place in _places(items).items()}
    placed = put_all(targets)
    names = {item: path.relative_to(below).as_posix() for item, path in placed.items()}
    if index.layout is Layout.YOLO:
        _write_yolo(index, names, folder)
    elif index.layout is Layout.CSV:
        _write_table(index, names, folder)
    elif index.layout is Layout.COCO:
        _write_coco(index, names, folder)
    _write_groups(names, below, folder)
    return len(placed)


def _places(items: Sequence[Item]) -> dict[Item, str]:
    """Return a place for each item; of two sets that have the same name one is told by its set's."""
    taken: set[str] = set()
    places: dict[Item, str] = {}
    for item in items:
        at = PurePosixPath(item.place)
        place, number = at, 0
        while str(place).casefold() in taken:
            number += 1
            before = f"{item.split.replace('/', '-') or 'more'}{number if number > 1 else ''}"
            place = at.with_name(f"{before}_{at.name}")
        taken.add(str(place).casefold())
        places[item] = str(place)
    return places


def _part_of(index: Index, item: Item) -> Part:
    """Return the set that an item was listed in; a table may name further sets itself."""
    return next((part for part in index.parts if part.split == item.split), index.parts[0])


def _write_yolo(index: Index, names: Mapping[Item, str], folder: Path) -> None:
    for item, name in names.items():
        labels = _part_of(index, item).labels
        source = labels / PurePosixPath(item.place).with_suffix(".txt") if labels is not None else None
        if item.labelled and source is not None and source.is_file():
            target = folder / "labels" / PurePosixPath(name).with_suffix(".txt")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (folder / "labels").mkdir(exist_ok=True)
    for part in index.parts:
        for above in (part.pictures.parent, part.pictures.parent.parent, index.root):
            for name in _NAMING:
                source = above / name
                wanted = source.is_file() and not leads_out(source, index.root)
                if wanted and not any((folder / n).exists() for n in _NAMING):
                    (folder / name).write_bytes(source.read_bytes())


def _write_table(index: Index, names: Mapping[Item, str], folder: Path) -> None:
    of_place = {(item.split, item.place): name for item, name in names.items()}
    rows: list[dict[str, str | None]] = []
    columns: dict[str, None] = {}
    for part in index.parts:
        assert part.table is not None  # noqa: S101  (what makes it a table)
        for _, row in read_rows(part.table, "file"):
            split = (row.get("split") or "").strip() or part.split
            name = of_place.pop((split, (row["file"] or "").strip()), None)
            if name is not None:
                rows.append({**row, "file": name})
                columns.update(dict.fromkeys(key for key in row if key is not None))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns) or ["file"], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / "labels.csv").write_text(out.getvalue(), encoding="utf-8")


def _write_coco(index: Index, names: Mapping[Item, str], folder: Path) -> None:
    """Join what is kept of all sets' files; numbers of pictures are given anew, as two files may have the same."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[Any, Any] = {}
    of_place = {(item.split, item.place): name for item, name in names.items()}
    for part in index.parts:
        assert part.table is not None  # noqa: S101  (what makes it COCO's)
        data = load_coco(part.table)
        numbers: dict[Any, int] = {}
        for entry in data["images"]:
            name = of_place.pop((part.split, str(entry.get("file_name"))), None) if isinstance(entry, dict) else None
            if name is not None:
                numbers[entry.get("id")] = len(images) + 1
                images.append({**entry, "id": len(images) + 1, "file_name": name})
        for entry in data["annotations"]:
            if isinstance(entry, dict) and entry.get("image_id") in numbers:
                annotations.append({**entry, "id": len(annotations) + 1, "image_id": numbers[entry["image_id"]]})
        categories.update({e["id"]: e for e in data["categories"] if isinstance(e, dict) and "id" in e})
    (folder / "annotations").mkdir(exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": list(categories.values())}
    (folder / "annotations" / "instances.json").write_text(json.dumps(document), encoding="utf-8")


def _write_groups(names: Mapping[Item, str], below: Path, folder: Path) -> None:
    """Keep what belongs together, where the names do not say it."""
    told = {name: item.group for item, name in names.items() if item.group and video_of(below / name) is None}
    if told:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("file", "group"))
        writer.writerows(told.items())
        (folder / _GROUPS).write_text(out.getvalue(), encoding="utf-8")
