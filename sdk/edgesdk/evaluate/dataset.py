"""Labelled pictures, whatever form they come in.

Forms: a folder of class folders; `images/` and `labels/` with YOLO text; COCO JSON; `labels.csv` with a file and a
label, a text or numbers. The form follows from the task and from what is there. Labels come from outside: a name that leads out of
the folder, a picture without its label and a class that the model does not know are refused by name, since leaving them
out would silently change the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk.layouts.class_folders import read_class_folders, read_own_class_folders
from edgesdk.layouts.coco_json import find_coco, read_coco
from edgesdk.layouts.group_names import read_groups
from edgesdk.layouts.labels_csv import (
    left_alone,
    read_class_table,
    read_own_class_table,
    read_text_table,
    read_value_table,
)
from edgesdk.layouts.samples import Sample
from edgesdk.layouts.yolo_text import read_yolo
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled pictures for one task, at least one.

    Attributes:
        labels: the names which the samples' numbers refer to: the model's classes; of an embedding the dataset's own;
            of a regression the names of the numbers.
        groups: which pictures the dataset says belong together (the frames of a video), by picture.
        warnings: what is there and was left alone.
    """

    task: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    groups: Mapping[Path, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)


def open_dataset(path: str | Path, *, task: str, labels: tuple[str, ...]) -> Dataset:
    """Read the labels of a dataset; pictures are read later, one at a time.

    Args:
        path: its folder, or its `labels.csv` or COCO file.
        task: of the model: classify, detect, text, embed or regress.
        labels: the model's class names, in its order.

    Raises:
        InputError: there is no dataset for this task, or its labels are wrong.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist.", hint="Check the path of --data.")
    reader = _READERS.get(task)
    if reader is None:
        raise InputError(
            f"There is no figure for the task {task!r}.", hint=f"Models for {', '.join(_READERS)} can be evaluated."
        )
    samples, names = reader(path, labels)
    if not samples:
        raise InputError(f"{path} holds no labelled pictures.", hint="Point --data at the dataset's folder.")
    groups = read_groups(path if path.is_dir() else path.parent)
    if groups and not any(sample.path in groups for sample in samples):
        raise InputError(
            f"The groups given in {path} name none of its pictures.",
            hint="Write the pictures' paths in the column `file`, relative to the dataset's folder.",
        )
    table = _table(path) if task != "detect" else None
    warnings = (
        left_alone(table, [sample.path for sample in samples], of_classes=task in {"classify", "embed"})
        if table
        else ()
    )
    return Dataset(task, names, tuple(samples), groups, warnings)


_Read = tuple[Sequence[Sample], tuple[str, ...]]


def _classes(path: Path, labels: tuple[str, ...]) -> _Read:
    table = _table(path)
    return (read_class_table(table, labels) if table else read_class_folders(_folder(path), labels)), labels


def _own_classes(path: Path, _labels: tuple[str, ...]) -> _Read:
    table = _table(path)
    return read_own_class_table(table) if table else read_own_class_folders(_folder(path))


def _texts(path: Path, labels: tuple[str, ...]) -> _Read:
    table = _table(path)
    if table is None:
        raise InputError(f"{path} holds no labels.csv.", hint="Write one with the columns file,text.")
    return read_text_table(table), labels


def _values(path: Path, labels: tuple[str, ...]) -> _Read:
    table = _table(path)
    if table is None:
        columns = ",".join(labels) or "value"
        raise InputError(f"{path} holds no labels.csv.", hint=f"Write one with the columns file,{columns}.")
    return read_value_table(table, labels)


def _boxes(path: Path, labels: tuple[str, ...]) -> _Read:
    if path.is_dir() and (path / "labels").is_dir():
        return read_yolo(path, labels), labels
    coco = path if path.suffix.lower() == ".json" and path.is_file() else find_coco(_folder(path))
    if coco is None:
        raise InputError(
            f"{path} holds neither `images/` with `labels/` nor a COCO file.",
            hint="Give a folder with images/*.jpg and labels/*.txt (YOLO), or the .json beside its pictures (COCO).",
        )
    return read_coco(coco, labels), labels


_READERS: dict[str, Callable[[Path, tuple[str, ...]], _Read]] = {
    "classify": _classes,
    "detect": _boxes,
    "text": _texts,
    "embed": _own_classes,
    "regress": _values,
}


def _table(path: Path) -> Path | None:
    table = path / "labels.csv" if path.is_dir() else path
    return table if table.is_file() and table.suffix.lower() == ".csv" else None


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path} is no dataset.", hint="Give its folder, its labels.csv or its COCO .json.")
    return path
