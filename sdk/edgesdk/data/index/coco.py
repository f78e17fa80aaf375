"""COCO's JSON."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from edgesdk.data.findings import Finding
from edgesdk.data.index.inside import leads_out, pictures_below
from edgesdk.data.index.item import Item, Part
from edgesdk.layouts.coco_json import load_coco, picture_folders, read_box
from edgesdk.layouts.group_names import groups_from, video_of
from edgesdk.layouts.named_files import find_picture
from edgesdk_targets.errors import InputError


def index_coco(part: Part, root: Path) -> tuple[list[Item], list[Finding], tuple[str, ...]]:
    """List a COCO file's pictures; return the names of its categories too.

    Raises:
        InputError: it is no COCO file.
    """
    assert part.table is not None  # noqa: S101  (what makes it COCO's)
    data = load_coco(part.table)
    found: list[Finding] = []
    categories = {
        e["id"]: str(e["name"]) for e in data["categories"] if isinstance(e, dict) and {"id", "name"} <= e.keys()
    }
    classes = _classes_by_picture(data["annotations"], categories, part, found)
    groups = groups_from(root, part.pictures)
    items: list[Item] = []
    for i, entry in enumerate(data["images"]):
        if not isinstance(entry, dict) or "file_name" not in entry or not _is_key(entry.get("id")):
            found.append(Finding("bad-label", f"{part.table.name}: images[{i}]", "needs id and file_name", part.split))
            continue
        place, key = str(entry["file_name"]), entry["id"]
        mine = tuple(sorted(classes.pop(key, ())))
        try:
            path = find_picture(picture_folders(part.table), place, f"images[{i}]")
        except InputError:
            found.append(Finding("outside", place, f"images[{i}] names a file outside the dataset", part.split))
            continue
        if path is None:
            found.append(Finding("no-picture", place, f"images[{i}] has no file", part.split))
        elif leads_out(path, root):
            found.append(Finding("outside", place, "a link to elsewhere, not followed", part.split))
        else:
            name, group = path.relative_to(root).as_posix(), groups.get(path) or video_of(path) or ""
            items.append(Item(path, name, place, part.split, mine, labelled=True, group=group))
    detail = "annotations of a picture that is not listed"
    found += [Finding("no-picture", f"image_id {key}", detail, part.split) for key in classes]
    return items, found, tuple(categories.values())


def unlisted(parts: tuple[Part, ...], root: Path, items: list[Item]) -> tuple[list[Item], list[Finding]]:
    """Return the pictures in a dataset's folder that none of its tables lists."""
    listed = {item.path for item in items}
    beside = [path for path in pictures_below(root) if path not in listed]
    tables = ", ".join(part.table.name for part in parts if part.table is not None)
    names = [path.relative_to(root).as_posix() for path in beside]
    found: list[Finding] = []
    more: list[Item] = []
    for path, name in zip(beside, names, strict=True):
        if leads_out(path, root):
            found.append(Finding("outside", name, "a link to elsewhere, not followed"))
        else:
            found.append(Finding("no-label", name, f"is not listed in {tables}"))
            more.append(Item(path, name, name, labelled=False))
    return more, found


def _classes_by_picture(
    annotations: list[Any], categories: dict[Any, str], part: Part, found: list[Finding]
) -> dict[Any, set[str]]:
    assert part.table is not None  # noqa: S101  (for the type checker)
    classes: dict[Any, set[str]] = defaultdict(set)
    for i, entry in enumerate(annotations):
        where = f"{part.table.name}: annotations[{i}]"
        if not isinstance(entry, dict) or not _is_key(entry.get("image_id")) or not _is_key(entry.get("category_id")):
            found.append(Finding("bad-label", where, "needs image_id and category_id", part.split))
        elif entry["category_id"] not in categories:
            found.append(
                Finding("unknown-class", where, f"category {entry['category_id']!r:.40} is not listed", part.split)
            )
        else:
            try:
                read_box(entry.get("bbox"), where)
            except InputError as error:
                found.append(Finding("bad-label", where, error.message.removeprefix(f"{where}: "), part.split))
            classes[entry["image_id"]].add(categories[entry["category_id"]])
    return classes


def _is_key(value: object) -> bool:
    return isinstance(value, (int, str))
