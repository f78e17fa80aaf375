"""A folder for each class."""

from __future__ import annotations

from pathlib import Path

from edgesdk.data.findings import Finding
from edgesdk.data.index.inside import leads_out, pictures_below
from edgesdk.data.index.item import Item, Part
from edgesdk.layouts.group_names import read_groups, video_of


def has_class_folders(folder: Path) -> bool:
    """Tell whether a folder has folders with pictures."""
    return any(next(pictures_below(entry), None) for entry in _classes(folder))


def index_class_folders(part: Part, root: Path) -> tuple[list[Item], list[Finding]]:
    """List `CLASS/*.jpg`; a picture that lies elsewhere has no label."""
    items: list[Item] = []
    found = [
        Finding("empty-class", entry.name, "its folder holds no pictures", part.split)
        for entry in _classes(part.pictures)
        if next(pictures_below(entry), None) is None
    ]
    groups = read_groups(part.pictures)
    for path in pictures_below(part.pictures):
        name, place = path.relative_to(root).as_posix(), path.relative_to(part.pictures)
        if leads_out(path, root):
            found.append(Finding("outside", name, "a link to elsewhere, not followed", part.split))
            continue
        if len(place.parts) != 2:
            found.append(Finding("no-label", name, "lies in no class folder, where a reader would look", part.split))
        classed = len(place.parts) == 2
        group = groups.get(path) or video_of(path) or ""
        classes_of = (place.parts[0],) if classed else ()
        items.append(Item(path, name, place.as_posix(), part.split, classes_of, labelled=classed, group=group))
    return items, found


def index_pictures(part: Part, root: Path) -> tuple[list[Item], list[Finding]]:
    """List pictures that nobody labelled, with their subfolders."""
    groups = read_groups(part.pictures)
    items: list[Item] = []
    found: list[Finding] = []
    for path in pictures_below(part.pictures):
        name = path.relative_to(root).as_posix()
        if leads_out(path, root):
            found.append(Finding("outside", name, "a link to elsewhere, not followed", part.split))
            continue
        group = groups.get(path) or video_of(path) or ""
        place = path.relative_to(part.pictures).as_posix()
        items.append(Item(path, name, place, part.split, labelled=False, group=group))
    return items, found


def _classes(folder: Path) -> list[Path]:
    entries = sorted(folder.iterdir())
    return [entry for entry in entries if entry.is_dir() and not entry.is_symlink() and entry.name[0] not in "._"]
