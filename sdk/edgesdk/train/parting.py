"""Which pictures of a dataset are learnt from, and which are kept to judge by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesdk.data.index.item import Index, Layout, Part
from edgesdk.data.index.open_index import open_index
from edgesdk.data.splitting import Share, assign
from edgesdk.evaluate.apart import found_again
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.layouts.group_names import video_of
from edgesdk.layouts.samples import BoxSample, ClassSample, Sample
from edgesdk_targets.errors import InputError

_TRAIN, _VALIDATION = ("train", "training"), ("val", "valid", "validation", "dev")


@dataclass(frozen=True, slots=True)
class Parts:
    """Both sets, each with at least one picture."""

    train: Dataset
    validation: Dataset
    warnings: tuple[str, ...] = ()


def part(data: str | Path, task: str, labels: tuple[str, ...], validation: str | Path | float, seed: int) -> Parts:
    """Open a dataset and divide it as it says itself, else by a share.

    Args:
        validation: the share that is kept where the data has no set for it, or another dataset.

    Raises:
        InputError: there is nothing to learn from, or nothing to judge by.
    """
    sets = _sets(Path(data), task, labels)
    train = _named(sets, _TRAIN) or sets.get("")
    if train is None:
        raise InputError(
            f"{data} has the sets {', '.join(sets)}, and none to learn from.", hint="Name one of them `train`."
        )
    if not isinstance(validation, float):
        kept = open_dataset(validation, task=task, labels=labels)
        return _parts(train, replace(kept, labels=_same_labels(train, kept, validation)))
    kept_here = _named(sets, _VALIDATION)
    return _parts(train, kept_here) if kept_here is not None else divide(train, validation, seed)


def _parts(train: Dataset, kept: Dataset) -> Parts:
    both = found_again((sample.path for sample in train.samples), (sample.path for sample in kept.samples))
    if both:
        judged, learnt = min(both.items())
        again = f" as {learnt}" if learnt != judged else ""
        raise InputError(
            f"{judged} is judged by, and learnt from{again}; {len(both) - 1} more pictures are.",
            hint="Give a validation set of other pictures; find copies by `edgesdk data dedup`.",
        )
    return Parts(train, kept, tuple(dict.fromkeys((*train.warnings, *kept.warnings))))


def _same_labels(train: Dataset, kept: Dataset, where: str | Path) -> tuple[str, ...]:
    if kept.labels != train.labels:
        raise InputError(
            f"{where} has other classes than the training data.", hint="Give both the same classes, in the same order."
        )
    return kept.labels


def divide(dataset: Dataset, share: float, seed: int) -> Parts:
    """Keep a share of a dataset to judge by: stratified by class, whole groups (frames of a video), drawn by the seed.

    Raises:
        InputError: too few pictures, in all or of a class.
    """
    if not 0 < share < 1:
        raise InputError(
            f"A share of {share} for validation leaves nothing to learn from or to judge by.", hint="0.2 is usual."
        )
    samples = dataset.samples
    if len(samples) < 2:
        raise InputError(
            f"There is 1 picture only ({samples[0].path}): one to learn from and one to judge by are needed.",
            hint="Give more pictures, or a validation set of its own.",
        )
    classes = [_classes_of(sample) for sample in samples]
    counts = Counter(name for names in classes for name in names)
    alone = sorted(name for name, count in counts.items() if count == 1)
    if alone and dataset.task == "classify":
        shown = dataset.labels[int(alone[0])] if dataset.labels else alone[0]
        raise InputError(
            f"The class {shown!r} has 1 picture only: one to learn from and one to judge by are needed.",
            hint="Add pictures of it, or give a validation set of its own.",
        )
    groups = [dataset.groups.get(sample.path) or video_of(sample.path) or "" for sample in samples]
    wanted = [Share("train", 1 - share), Share("val", share)]
    names = assign(classes, groups, wanted, seed=seed)
    train, kept = (
        replace(dataset, samples=tuple(s for s, name in zip(samples, names, strict=True) if name == one.name))
        for one in wanted
    )
    if not kept.samples or not train.samples:
        raise InputError(
            f"A share of {share} of {len(samples)} pictures leaves one of the two sets empty.",
            hint="Give more pictures.",
        )
    return Parts(train, kept, dataset.warnings)


def _classes_of(sample: Sample) -> tuple[str, ...]:
    if isinstance(sample, ClassSample):
        return tuple(str(number) for number in sorted(sample.accepted))
    if isinstance(sample, BoxSample):
        return tuple(str(number) for number in sorted(set(sample.truth.class_ids.tolist())))
    return ()


def _sets(data: Path, task: str, labels: tuple[str, ...]) -> dict[str, Dataset]:
    """Return a dataset's sets by the names that it gives them; "" for one that is not divided."""
    if not data.exists():
        raise InputError(f"{data} does not exist.", hint="Check the path of the data.")
    index = open_index([data])
    if index.splits == ("",):
        return {"": open_dataset(data, task=task, labels=labels)}
    if index.layout is Layout.CSV or (index.layout is Layout.YOLO and _one_place(index)):
        return _by_items(index, data, task, labels)
    return {one.split: open_dataset(_place(one), task=task, labels=labels) for one in index.parts}


def _place(one: Part) -> Path:
    if one.table is not None:
        return one.table
    # YOLO's `images/`, in the folder of its set.
    return one.pictures.parent if one.labels is not None else one.pictures


def _one_place(index: Index) -> bool:
    """Whether YOLO's `images/train` and `images/val` lie in one folder."""
    return all(one.pictures.parent.name == "images" for one in index.parts)


def _by_items(index: Index, data: Path, task: str, labels: tuple[str, ...]) -> dict[str, Dataset]:
    """Open a dataset as one, and divide it as its index does."""
    dataset = open_dataset(data, task=task, labels=labels)
    split_of = {item.path.resolve(): item.split for item in index.items}
    found: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        found.setdefault(split_of.get(sample.path.resolve(), ""), []).append(sample)
    return {name: replace(dataset, samples=tuple(samples)) for name, samples in found.items()}


def _named(sets: dict[str, Dataset], names: Sequence[str]) -> Dataset | None:
    # COCO's files end in a year: `instances_train2017.json`.
    return next((found for name, found in sets.items() if name.lower().rstrip("0123456789") in names), None)
