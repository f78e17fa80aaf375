"""Labelled pictures, whatever form they come in.

Forms: a folder of class folders; `images/` and `labels/` with YOLO text; COCO JSON; `labels.csv` with a file and a
label or text. The form follows from the task and from what is there. Labels come from outside: a name that leads out of
the folder, a picture without its label and a class that the model does not know are refused by name, since leaving them
out would silently change the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesdk.evaluate.layouts.class_folders import read_class_folders
from edgesdk.evaluate.layouts.coco_json import find_coco, read_coco
from edgesdk.evaluate.layouts.labels_csv import read_class_table, read_text_table
from edgesdk.evaluate.layouts.yolo_text import read_yolo
from edgesdk.evaluate.samples import Sample
from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled pictures for one task, at least one.

    Attributes:
        labels: the model's class names, which the samples' numbers refer to.
    """

    task: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)


def open_dataset(path: str | Path, *, task: str, labels: tuple[str, ...]) -> Dataset:
    """Read the labels of a dataset; pictures are read later, one at a time.

    Args:
        path: its folder, or its `labels.csv` or COCO file.
        task: of the model: classify, detect or text.
        labels: the model's class names, in its order.

    Raises:
        InputError: there is no dataset for this task, or its labels are wrong.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist.", hint="Check the path of --data.")
    readers: dict[str, Callable[[Path, tuple[str, ...]], Sequence[Sample]]] = {
        "classify": _classes,
        "detect": _boxes,
        "text": _texts,
    }
    reader = readers.get(task)
    if reader is None:
        raise InputError(
            f"There is no figure for the task {task!r}.", hint=f"Models for {', '.join(readers)} can be evaluated."
        )
    samples = reader(path, labels)
    if not samples:
        raise InputError(f"{path} holds no labelled pictures.", hint="Point --data at the dataset's folder.")
    return Dataset(task, labels, tuple(samples))


def _classes(path: Path, labels: tuple[str, ...]) -> Sequence[Sample]:
    table = _table(path)
    return read_class_table(table, labels) if table else read_class_folders(_folder(path), labels)


def _texts(path: Path, _labels: tuple[str, ...]) -> Sequence[Sample]:
    table = _table(path)
    if table is None:
        raise InputError(f"{path} holds no labels.csv.", hint="Write one with the columns file,text.")
    return read_text_table(table)


def _boxes(path: Path, labels: tuple[str, ...]) -> Sequence[Sample]:
    if path.is_dir() and (path / "labels").is_dir():
        return read_yolo(path, labels)
    coco = path if path.suffix.lower() == ".json" and path.is_file() else find_coco(_folder(path))
    if coco is None:
        raise InputError(
            f"{path} holds neither `images/` with `labels/` nor a COCO file.",
            hint="Give a folder with images/*.jpg and labels/*.txt (YOLO), or the .json beside its pictures (COCO).",
        )
    return read_coco(coco, labels)


def _table(path: Path) -> Path | None:
    table = path / "labels.csv" if path.is_dir() else path
    return table if table.is_file() and table.suffix.lower() == ".csv" else None


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path} is no dataset.", hint="Give its folder, its labels.csv or its COCO .json.")
    return path
