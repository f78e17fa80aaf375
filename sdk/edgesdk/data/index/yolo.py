"""YOLO's layout: pictures here, a text file of the same name there."""

from __future__ import annotations

from pathlib import Path

from edgesdk.data.findings import Finding
from edgesdk.data.index.inside import leads_out, pictures_below
from edgesdk.data.index.item import Item, Part
from edgesdk.layouts.group_names import groups_from, video_of
from edgesdk.layouts.yolo_text import named_classes, read_boxes
from edgesdk_targets.errors import InputError

# Where the classes are named.
_NAMING = ("classes.txt", "data.yaml", "dataset.yaml")


def index_yolo(part: Part, root: Path, named: dict[int, str] | None) -> tuple[list[Item], list[Finding]]:
    """List a set in YOLO's layout.

    Args:
        named: the classes by number, where the dataset names them.
    """
    assert part.labels is not None  # noqa: S101  (what makes it YOLO's)
    items: list[Item] = []
    found: list[Finding] = []
    met: set[Path] = set()
    groups = groups_from(root, part.pictures.parent)
    for path in pictures_below(part.pictures):
        name, place = path.relative_to(root).as_posix(), path.relative_to(part.pictures)
        if leads_out(path, root):
            found.append(Finding("outside", name, "a link to elsewhere, not followed", part.split))
            continue
        label = part.labels / place.with_suffix(".txt")
        met.add(label)
        classes, problem = _classes_of(label, root, named)
        if problem is not None:
            found.append(Finding(problem[0], name, problem[1], part.split))
        group = groups.get(path) or video_of(path) or ""
        labelled = problem is None or problem[0] in {"bad-label", "unknown-class"}
        items.append(Item(path, name, place.as_posix(), part.split, classes, labelled, group))
    strays = [] if leads_out(part.labels, root) else sorted(part.labels.rglob("*.txt"))
    for label in strays:
        if label not in met and label.name != "classes.txt":
            name = label.relative_to(root).as_posix()
            found.append(Finding("no-picture", name, "there is no picture of this name", part.split))
    return items, found


def names_of(part: Part, root: Path) -> dict[int, str] | None:
    """Return the names of a set's classes: from its own folder, or one above it; None where none names them."""
    for folder in (part.pictures.parent, part.pictures.parent.parent, root):
        named = named_classes(folder) if _told_inside(folder, root) else None
        if named is not None:
            return named
    return None


def _told_inside(folder: Path, root: Path) -> bool:
    told = [folder / name for name in _NAMING]
    return folder.is_relative_to(root) and not any(leads_out(path, root) for path in told if path.is_file())


def _classes_of(
    label: Path, root: Path, named: dict[int, str] | None
) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """Return the classes of a label file, and the kind and detail of what is wrong with it."""
    if not label.is_file():
        return (), ("no-label", "there is no text file of this name; an empty one says that nothing is in it")
    if leads_out(label, root):
        return (), ("outside", "its label is a link to elsewhere, not followed")
    try:
        numbers = {class_id for _, class_id, _ in read_boxes(label)}
    except InputError as error:
        return (), ("bad-label", error.message.removeprefix(f"{root}/"))
    unknown = sorted(n for n in numbers if n < 0 or (named is not None and n not in named))
    classes = tuple(sorted((named or {}).get(n, str(n)) for n in numbers))
    return classes, ("unknown-class", f"class {unknown[0]} is not among those named") if unknown else None
