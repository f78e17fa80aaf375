"""Decide what is left of a dataset without what was found wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk.data.check import check
from edgesdk.data.dedup.find import find_duplicates
from edgesdk.data.findings import KINDS
from edgesdk.data.index.item import Index, Item, Layout
from edgesdk.data.stream.pipeline import Progress
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.whole_file import disk_errors

COPIES, FAULTS = "copies", "faults"
# What can be asked to go; of `single` and the like there is no picture that is wrong.
DROPPABLE = (
    FAULTS,
    COPIES,
    *(kind for kind in KINDS if kind not in {"single", "empty-class", "no-picture", "outside", "listed-twice"}),
)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What stays, and what goes with the reason."""

    index: Index
    kept: tuple[Item, ...]
    dropped: tuple[tuple[Item, str], ...]

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "pictures": len(self.index),
            "kept": len(self.kept),
            "dropped": [{"name": item.name, "split": item.split, "reason": why} for item, why in self.dropped],
        }


def clean(
    index: Index, drop: Collection[str], *, workers: int | None = None, progress: Progress | None = None
) -> Cleaned:
    """Decide which pictures go.

    Args:
        drop: some of `DROPPABLE`.

    Raises:
        InputError: one of them is not known, or nothing would be left.
    """
    unknown = [name for name in drop if name not in DROPPABLE]
    if unknown:
        raise InputError(f"{unknown[0]!r} is nothing to drop.", hint=f"Known are {', '.join(DROPPABLE)}.")
    # A file that is listed twice is there once, so it stays.
    kinds = {kind for kind, (fault, _) in KINDS.items() if kind in drop or (fault and FAULTS in drop)} - {
        "listed-twice"
    }
    # Pictures that nobody labelled on purpose are not without a label.
    if index.layout in {Layout.PICTURES, Layout.VIDEO}:
        kinds.discard("no-label")
    reasons: dict[Item, str] = {}
    named = {(item.split, item.name): item for item in index.items}
    if kinds:
        checked = check(index, workers=workers, progress=progress)
        for finding in checked.findings:
            item = named.get((finding.split, finding.name))
            if finding.kind in kinds and item is not None:
                reasons.setdefault(item, f"{finding.kind}: {finding.detail}")
    if COPIES in drop:
        left = index.keeping([item for item in index.items if item not in reasons])
        for group in find_duplicates(left, workers=workers, progress=progress).groups:
            for item, how in group.others:
                other = "" if not item.labelled or item.classes == group.kept.classes else "; its label is another"
                reasons[item] = f"copy ({how}) of {group.kept.name}{other}"
    kept = tuple(item for item in index.items if item not in reasons)
    if not kept:
        raise InputError("Nothing would be left.", hint="See what is wrong with `edgesdk data check`.")
    dropped = tuple((item, reasons[item]) for item in index.items if item in reasons)
    return Cleaned(index, kept, dropped)


def delete(cleaned: Cleaned, gone: list[Item] | None = None) -> int:
    """Delete the files of the dropped pictures, and YOLO's labels that no picture needs; return how many pictures went.

    What a kept picture needs stays: it may be a link to a dropped one, or share its label. So does what lies behind a link.

    Args:
        gone: takes each picture that went, also when an error follows.

    Raises:
        InputError: the layout has tables that would name what is gone, or a file cannot be deleted; how many went is said.
        NoSpace: the disk is full, as some file systems need space to delete.
    """
    index = cleaned.index
    if index.layout not in {Layout.FOLDERS, Layout.PICTURES, Layout.YOLO}:
        raise InputError(
            f"Originals of the layout {index.layout.value} are not deleted.", hint="Write a cleaned copy: -o OUT."
        )
    labels = {part.split: part.labels for part in index.parts}
    needed = {place for item in cleaned.kept for path in _files_of(item, labels) for place in _on_the_way(path)}
    root = index.root.resolve()
    gone = [] if gone is None else gone
    for item, _ in cleaned.dropped:
        picture, *beside = _files_of(item, labels)
        if not _may_go(picture, index.root, root, needed):
            continue
        try:
            with disk_errors(picture):
                picture.unlink()
                gone.append(item)
                for label in beside:
                    if label.is_file() and _may_go(label, index.root, root, needed):
                        label.unlink()
        except (InputError, NoSpace) as error:
            told = f"{error.message} {len(gone)} of {len(cleaned.dropped)} pictures were deleted."
            raise type(error)(told, hint=error.hint) from error
    return len(gone)


def _files_of(item: Item, labels: Mapping[str, Path | None]) -> list[Path]:
    """Return the picture's file, and YOLO's label of it."""
    folder = labels.get(item.split)
    return [item.path] if folder is None else [item.path, (folder / item.place).with_suffix(".txt")]


def _entry(path: Path) -> Path:
    """Return where a file is listed: links of folders are followed, its own is not."""
    return path.parent.resolve() / path.name


def _on_the_way(path: Path) -> set[Path]:
    """Return the entries that reading a path goes through: its own, and that of each link on to the next."""
    met: set[Path] = set()
    place = _entry(path)
    while place not in met:
        met.add(place)
        if place.is_symlink():
            place = _entry(place.parent / place.readlink())
    return met


def _may_go(path: Path, root: Path, resolved: Path, needed: Collection[Path]) -> bool:
    """Tell whether a file lies in the dataset itself, not behind a link of a folder, and no kept picture needs it."""
    place = _entry(path)
    return place not in needed and place == resolved / path.relative_to(root)
