"""Decide what is left of a dataset without what was found wrong with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgesdk.data.check import check
from edgesdk.data.dedup.find import find_duplicates
from edgesdk.data.findings import KINDS
from edgesdk.data.index.item import Index, Item, Layout
from edgesdk.data.stream.pipeline import Progress
from edgesdk_targets.errors import InputError

COPIES, FAULTS = "copies", "faults"
# What can be asked to go; of `single` and the like there is no picture that is wrong.
DROPPABLE = (
    FAULTS,
    COPIES,
    *(kind for kind in KINDS if kind not in {"single", "empty-class", "no-picture", "outside"}),
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
    kinds = {kind for kind, (fault, _) in KINDS.items() if kind in drop or (fault and FAULTS in drop)}
    # Pictures that nobody labelled on purpose are not without a label.
    if index.layout in {Layout.PICTURES, Layout.VIDEO}:
        kinds.discard("no-label")
    reasons: dict[str, str] = {}
    if kinds:
        checked = check(index, workers=workers, progress=progress)
        for finding in checked.findings:
            if finding.kind in kinds:
                reasons.setdefault(finding.name, f"{finding.kind}: {finding.detail}")
    if COPIES in drop:
        left = index.keeping([item for item in index.items if item.name not in reasons])
        for group in find_duplicates(left, workers=workers, progress=progress).groups:
            for item, how in group.others:
                reasons[item.name] = f"copy ({how}) of {group.kept.name}"
    kept = tuple(item for item in index.items if item.name not in reasons)
    if not kept:
        raise InputError("Nothing would be left.", hint="See what is wrong with `edgesdk data check`.")
    dropped = tuple((item, reasons[item.name]) for item in index.items if item.name in reasons)
    return Cleaned(index, kept, dropped)


def delete(cleaned: Cleaned) -> int:
    """Delete the files of the dropped pictures, and YOLO's labels of them; return how many pictures.

    Raises:
        InputError: the layout has tables that would name what is gone.
    """
    layout = cleaned.index.layout
    if layout not in {Layout.FOLDERS, Layout.PICTURES, Layout.YOLO}:
        raise InputError(
            f"Originals of the layout {layout.value} are not deleted.", hint="Write a cleaned copy: -o OUT."
        )
    labels = {part.split: part.labels for part in cleaned.index.parts}
    for item, _ in cleaned.dropped:
        item.path.unlink()
        folder = labels.get(item.split)
        if folder is not None:
            (folder / item.place).with_suffix(".txt").unlink(missing_ok=True)
    return len(cleaned.dropped)
