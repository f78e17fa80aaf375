"""Find out how a dataset lies on the disk, and list its pictures.

The layout follows from what is there: `labels.csv`; `images/` with `labels/` (YOLO); a COCO file; class folders; videos;
else pictures without labels. A divided dataset has a folder for each set (`train/`, `val/`, `test/`, each with the same
layout inside), YOLO's `images/train` with `labels/train`, a COCO file for each, or a column `split` in `labels.csv`. Several
paths are several sets. What is wrong with single labels is collected, not raised: whoever asks sees all of it at once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edgesdk.data.findings import Finding
from edgesdk.data.index.class_folders import has_class_folders, index_class_folders, index_pictures
from edgesdk.data.index.coco import index_coco, unlisted
from edgesdk.data.index.inside import leads_out, pictures_below
from edgesdk.data.index.item import Index, Item, Layout, Part
from edgesdk.data.index.table import index_table
from edgesdk.data.index.video import index_videos, videos_in
from edgesdk.data.index.yolo import index_yolo, names_of
from edgesdk.layouts.coco_json import looks_like_coco
from edgesdk_targets.errors import InputError

SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
_LINK = "a link to elsewhere, not followed"
_HINT = "Give class folders, images/ with labels/ (YOLO), a COCO .json, a labels.csv, videos, or a folder of pictures."


def open_index(paths: Sequence[str | Path], *, every: int = 1) -> Index:
    """List the pictures of a dataset, in one folder or in one for each of its sets.

    Args:
        paths: its folder, table or video; several are several sets, named as they are.
        every: of videos, take every n-th frame.

    Raises:
        InputError: there is no dataset, or the sets are of different layouts.
    """
    given = [Path(path) for path in paths]
    for place in given:
        if not place.exists():
            raise InputError(f"{place} does not exist.", hint="Check the path of the dataset.")
    places = [_followed(place) for place in given] if len(given) > 1 else given
    root = _root(places)
    outside: list[Finding] = []
    found: list[tuple[Layout, Part]] = []
    for place, name in zip(places, _names_of(given), strict=True):
        found += _parts(place, name, root, outside)
    if not found:
        raise InputError(f"{places[0]} holds no pictures. {outside[0].name} is {outside[0].detail}.", hint=_HINT)
    layouts = {layout for layout, _ in found}
    if len(layouts) > 1:
        listed = ", ".join(f"{part.split or part.pictures.name} ({layout.value})" for layout, part in found)
        raise InputError(f"The sets have different layouts: {listed}.", hint="Give sets of one layout at a time.")
    layout, parts = layouts.pop(), tuple(part for _, part in found)
    all_listed, findings, names = _listed(layout, parts, root, every)
    items, again = _each_once(all_listed)
    findings = [*outside, *findings, *again]
    if not items:
        first = f" The first: {findings[0].name}, {findings[0].detail}." if findings else ""
        raise InputError(f"{places[0]} holds no pictures.{first}", hint=_HINT)
    occurring = Counter(name for item in items for name in item.classes)
    findings += [Finding("single", name, "one picture only") for name, count in occurring.items() if count == 1]
    findings += [
        Finding("empty-class", name, "is named, and no picture shows it") for name in names if name not in occurring
    ]
    return Index(root, layout, parts, tuple(items), names or tuple(sorted(occurring)), tuple(findings))


def _listed(
    layout: Layout, parts: tuple[Part, ...], root: Path, every: int
) -> tuple[list[Item], list[Finding], tuple[str, ...]]:
    items: list[Item] = []
    findings: list[Finding] = []
    names: dict[str, None] = {}
    for part in parts:
        if layout is Layout.YOLO:
            named = names_of(part, root)
            names.update(dict.fromkeys((named or {}).values()))
            new, wrong = index_yolo(part, root, named)
        elif layout is Layout.COCO:
            new, wrong, categories = index_coco(part, root)
            names.update(dict.fromkeys(categories))
        elif layout is Layout.CSV:
            new, wrong = index_table(part, root)
        elif layout is Layout.VIDEO:
            new, wrong = index_videos(part, root, every)
        else:
            new, wrong = (index_class_folders if layout is Layout.FOLDERS else index_pictures)(part, root)
        items += new
        findings += wrong
    if layout in {Layout.COCO, Layout.CSV}:
        new, wrong = unlisted(parts, root, items)
        items += new
        findings += wrong
    return items, findings, tuple(names)


def _each_once(items: Sequence[Item]) -> tuple[list[Item], list[Finding]]:
    """Return the items without those whose file was listed before: it would else be a copy of itself.

    Raises:
        InputError: a file is in two sets.
    """
    folders: dict[Path, Path] = {}
    first: dict[tuple[Path, int | None], Item] = {}
    again: list[Finding] = []
    for item in items:
        folder = item.path.parent
        # Its folder's links are followed, not its own: a link to a picture is an entry that can be deleted by itself.
        if folder not in folders:
            folders[folder] = folder.resolve()
        met = first.setdefault((folders[folder] / item.path.name, item.frame), item)
        if met is item:
            continue
        if met.split != item.split:
            sets = " and ".join(split or "no set" for split in (met.split, item.split))
            raise InputError(
                f"{item.name} is listed twice: in {sets}.",
                hint="Take it out of one, or give paths that do not overlap.",
            )
        again.append(Finding("listed-twice", item.name, f"as {met.place} and as {item.place}", item.split))
    return list(first.values()), again


def _parts(place: Path, name: str, root: Path, outside: list[Finding]) -> list[tuple[Layout, Part]]:
    """Return the sets at a place: of one name, or of the names that the place itself gives.

    Args:
        outside: takes a finding for each folder or table of a set that leads out of `root`.
    """
    if place.is_file():
        return [_of_file(place, name)]
    entries = sorted((e for e in place.iterdir() if e.is_dir() and e.name.lower() in SPLITS), key=_in_order)
    if entries and not (place / "labels.csv").is_file():
        return [
            part
            for entry in entries
            if _inside(entry, root, name, outside)
            for part in _parts(entry, f"{name}/{entry.name}" if name else entry.name, root, outside)
        ]
    if (place / "labels.csv").is_file() and _inside(place / "labels.csv", root, name, outside):
        return [(Layout.CSV, Part(name, place, table=place / "labels.csv"))]
    if (place / "images").is_dir() and (place / "labels").is_dir():
        return _yolo_parts(place, name, root, outside)
    tables = [p for p in sorted([*place.glob("*.json"), *place.glob("annotations/*.json")]) if looks_like_coco(p)]
    # Captions beside boxes are of the same pictures, and have no categories.
    tables = [p for p in tables if not p.stem.startswith("captions")] or tables
    tables = [p for p in tables if _inside(p, root, name, outside)]
    if tables:
        several = len(tables) > 1
        return [(Layout.COCO, Part(p.stem.rpartition("_")[2] if several else name, place, table=p)) for p in tables]
    if has_class_folders(place):
        return [(Layout.FOLDERS, Part(name, place))]
    if videos_in(place):
        return [(Layout.VIDEO, Part(name, place))]
    if next(pictures_below(place), None) is None:
        raise InputError(f"{place} holds no pictures.", hint=_HINT)
    return [(Layout.PICTURES, Part(name, place))]


def _yolo_parts(place: Path, name: str, root: Path, outside: list[Finding]) -> list[tuple[Layout, Part]]:
    images, labels = place / "images", place / "labels"
    if not all(_inside(folder, root, name, outside) for folder in (images, labels)):
        return []
    inner = [e for e in images.iterdir() if e.is_dir()]
    if not inner or not all(e.name.lower() in SPLITS for e in inner):
        return [(Layout.YOLO, Part(name, images, labels))]
    inner = sorted((e for e in inner if _inside(e, root, name, outside)), key=_in_order)
    return [(Layout.YOLO, Part(f"{name}/{e.name}" if name else e.name, e, labels / e.name)) for e in inner]


def _inside(path: Path, root: Path, split: str, outside: list[Finding]) -> bool:
    """Tell whether a folder or table of a set does not lead out of `root`; add a finding where it does."""
    if leads_out(path, root):
        outside.append(Finding("outside", path.relative_to(root).as_posix(), _LINK, split))
        return False
    return True


def _of_file(place: Path, name: str) -> tuple[Layout, Part]:
    if place.suffix.lower() == ".csv":
        return Layout.CSV, Part(name, place.parent, table=place)
    if place.suffix.lower() == ".json":
        return Layout.COCO, Part(name, place.parent, table=place)
    if videos_in(place):
        return Layout.VIDEO, Part(name, place)
    raise InputError(f"{place} is no dataset.", hint=_HINT)


def _followed(place: Path) -> Path:
    """Return where a given path is: a link that the user names is meant; a table's pictures lie beside the link."""
    return place.parent.resolve() / place.name if place.is_file() else place.resolve()


def _root(places: Sequence[Path]) -> Path:
    """Return the folder that holds all of it: pictures may lie beside a table's folder."""
    folders = [place.parent if place.is_file() else place for place in places]
    folders = [folder.parent if folder.name == "annotations" else folder for folder in folders]
    return Path(os.path.commonpath(folders)) if len(folders) > 1 else folders[0]


def _names_of(places: Sequence[Path]) -> list[str]:
    if len(places) == 1:
        return [""]
    names = [place.stem if place.is_file() else place.name for place in map(Path.absolute, places)]
    return [name if names.count(name) == 1 else f"{place}" for name, place in zip(names, places, strict=True)]


def _in_order(entry: Path) -> int:
    return SPLITS.index(entry.name.lower())
