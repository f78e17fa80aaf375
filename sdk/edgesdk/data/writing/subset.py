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

from edgesdk.data.index.item import Index, Item, Layout, Part
from edgesdk.data.index.yolo import names_of
from edgesdk.data.writing.put import PutAll
from edgesdk.layouts.coco_json import load_coco
from edgesdk.layouts.group_names import video_of
from edgesdk.layouts.labels_csv import read_rows
from edgesdk_targets.errors import InputError

_GROUPS = "groups.csv"
# A number that no category has.
_UNKNOWN = -1


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
    named = _one_naming(index)
    for item, name in names.items():
        labels = _part_of(index, item).labels
        source = labels / PurePosixPath(item.place).with_suffix(".txt") if labels is not None else None
        if item.labelled and source is not None and source.is_file():
            target = folder / "labels" / PurePosixPath(name).with_suffix(".txt")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (folder / "labels").mkdir(exist_ok=True)
    if sorted(named) == list(range(len(named))):
        lines = [" ".join(named[number].split()) for number in range(len(named))]
        if lines:
            (folder / "classes.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        lines = ["names:", *(f"  {number}: {json.dumps(name)}" for number, name in sorted(named.items()))]
        (folder / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _one_naming(index: Index) -> dict[int, str]:
    """Return the names of the class numbers, which must be the same in all sets; none where no set has names.

    Raises:
        InputError: a number means one class here and another there.
    """
    of_parts = [(part, names_of(part, index.root) or {}) for part in index.parts]
    first, named = of_parts[0]
    for part, other in of_parts:
        if other != named:
            listed = (
                f"{p.split or p.pictures} ({', '.join(n.values()) or 'none'})"
                for p, n in ((first, named), (part, other))
            )
            raise InputError(
                f"The sets number their classes differently: {', '.join(listed)}.",
                hint="Write each set by itself, or give all the same classes.txt.",
            )
    return named


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
                columns.update(dict.fromkeys(key for key in row if key not in {None, "split"}))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns) or ["file"], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / "labels.csv").write_text(out.getvalue(), encoding="utf-8")


def _write_coco(index: Index, names: Mapping[Item, str], folder: Path) -> None:
    """Join what is kept of all sets' files; numbers are given anew, as two files may have the same for different things."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    tables = [(part, load_coco(part.table)) for part in index.parts if part.table is not None]
    categories, renumbered = _one_numbering([data["categories"] for _, data in tables])
    of_place = {(item.split, item.place): name for item, name in names.items()}
    for (part, data), new in zip(tables, renumbered, strict=True):
        numbers: dict[Any, int] = {}
        for entry in data["images"]:
            name = of_place.pop((part.split, str(entry.get("file_name"))), None) if isinstance(entry, dict) else None
            if name is not None:
                numbers[entry.get("id")] = len(images) + 1
                images.append({**entry, "id": len(images) + 1, "file_name": name})
        for entry in data["annotations"]:
            if isinstance(entry, dict) and entry.get("image_id") in numbers:
                more: dict[str, Any] = {"id": len(annotations) + 1, "image_id": numbers[entry["image_id"]]}
                category = entry.get("category_id")
                if len(tables) > 1 and isinstance(category, (int, str)):
                    # One that its own file does not list must not become one that another file lists.
                    more["category_id"] = new.get(category, _UNKNOWN)
                annotations.append({**entry, **more})
    (folder / "annotations").mkdir(exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances.json").write_text(json.dumps(document), encoding="utf-8")


def _one_numbering(lists: Sequence[Sequence[Any]]) -> tuple[list[dict[str, Any]], list[dict[Any, Any]]]:
    """Return one list of categories for several files, a name once, and for each file the new number of each of its own."""
    categories: list[dict[str, Any]] = []
    of_name: dict[str, Any] = {}
    taken: set[Any] = set()
    renumbered: list[dict[Any, Any]] = []
    for entries in lists:
        new: dict[Any, Any] = {}
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), (int, str)):
                continue
            name = str(entry.get("name"))
            if name not in of_name or len(lists) == 1:
                free = 1 + max((key for key in taken if isinstance(key, int)), default=0)
                of_name[name] = entry["id"] if entry["id"] not in taken else free
                taken.add(of_name[name])
                categories.append({**entry, "id": of_name[name]})
            new[entry["id"]] = of_name[name]
        renumbered.append(new)
    return categories, renumbered


def _write_groups(names: Mapping[Item, str], below: Path, folder: Path) -> None:
    """Keep what belongs together, where the new names do not say the same."""

    def says(item: Item, name: str) -> bool:
        by_name = item.frame is not None or item.group == video_of(item.path)
        return by_name and video_of(below / name) is not None

    told = {name: item.group for item, name in names.items() if item.group and not says(item, name)}
    if told:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("file", "group"))
        writer.writerows(told.items())
        (folder / _GROUPS).write_text(out.getvalue(), encoding="utf-8")
