"""One picture of a dataset, and the dataset: names and labels only, no pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from edgesdk.data.findings import Finding


class Layout(str, Enum):
    """How a dataset lies on the disk."""

    FOLDERS = "folders"
    YOLO = "yolo"
    COCO = "coco"
    CSV = "csv"
    VIDEO = "video"
    PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class Item:
    """One picture.

    Attributes:
        path: its file; of a frame the video's.
        name: within the whole dataset, for people and lists; `clip.mp4#120` for a frame.
        place: within its part, as the layout names it (`CAT/x.jpg`, `x.jpg`, COCO's `file_name`).
        classes: the classes that its labels name, each once, sorted; none for texts, numbers and pictures without objects.
        labelled: there is a label, which may say that there is nothing.
        group: what it belongs to and counts as one with; "" for none.
        frame: its number in the video, from 0.
    """

    path: Path
    name: str
    place: str
    split: str = ""
    classes: tuple[str, ...] = ()
    labelled: bool = True
    group: str = ""
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One set of a dataset that is divided, or all of it.

    Attributes:
        split: its name; "" where the dataset is not divided.
        pictures: folder that the items' places are relative to, where the layout has one.
        labels: folder of YOLO's text files.
        table: `labels.csv` or COCO's JSON.
    """

    split: str
    pictures: Path
    labels: Path | None = None
    table: Path | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """A dataset as it was found.

    Attributes:
        root: folder that the items' names are relative to.
        names: the classes that the dataset lists, in its order; those that occur, sorted, where it lists none.
        findings: what was wrong with its labels; the pictures themselves were not opened.
    """

    root: Path
    layout: Layout
    parts: tuple[Part, ...]
    items: tuple[Item, ...]
    names: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of its sets, in the order in which they were found."""
        return tuple(dict.fromkeys(item.split for item in self.items))

    def of_class(self) -> Counter[str]:
        """Return how many pictures show each class."""
        return Counter(name for item in self.items for name in item.classes)

    def keeping(self, items: Sequence[Item]) -> Index:
        """Return the same dataset with these items only."""
        return replace(self, items=tuple(items))
