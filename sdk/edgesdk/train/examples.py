"""A folder's labelled pictures as training sees them: prepared by the card's own preprocessing, the very code of the device.

A set that fits into memory is prepared once; a larger one is streamed each epoch by `edgesdk.data.stream`, with what fits kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.evaluate.dataset import Dataset
from edgesdk.layouts.samples import BoxSample, ClassSample, Sample
from edgesdk.train.batch import ExampleSet
from edgesdk.train.encode import check_texts
from edgesdk.train.loading import Loading
from edgesdk.train.parting import Parts, part
from edgesdk.train.picture_set import PictureSet
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

Progress = Callable[[str], None]
_SHOWN = 5
DEFAULT_SHARE = 0.2
_USUAL = Loading()


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a model learns from, and what it is judged by.

    Attributes:
        task: classify, detect, text, embed or regress.
        labels: the names that the targets' numbers refer to.
        train, validation: of a folder, or of any program that keeps `ExampleSet`.
        preprocess: how the pictures were prepared; tells what black and white are in them.
        tensor: the model's input, for one picture.
        warnings: what looks wrong and is possible.
    """

    task: str
    labels: tuple[str, ...]
    train: ExampleSet
    validation: ExampleSet
    preprocess: Preprocess
    tensor: TensorSpec
    warnings: tuple[str, ...] = ()


def open_examples(
    card: CardFile,
    data: str | Path,
    *,
    validation: str | Path | float = DEFAULT_SHARE,
    seed: int = 0,
    loading: Loading = _USUAL,
    absent_classes: bool = False,
    progress: Progress | None = None,
) -> Examples:
    """Open labelled pictures for a model, and prepare those that fit into memory.

    A folder with sets of its own (`train/` and `val/`, YOLO's `images/train`, COCO's files, a column `split`) is taken as it is
    divided; one with a training set alone, or with none, gives a share of its pictures for validation: stratified by class, whole
    groups (frames of a video), drawn by `seed`. A test set is left alone.

    Args:
        card: of the model; its task, labels and preprocessing count.
        data: in any layout that `edgesdk evaluate` reads.
        validation: the share, or another dataset for it.
        loading: how the pictures are read and kept.
        absent_classes: let classes of the card have no picture; what the model knew of them it will forget.

    Raises:
        InputError: the data does not fit the card: no pictures, one alone, a class without pictures, unknown labels, a picture that
            cannot be read; or the model takes no single pictures.
    """
    _input_of(card)
    parts = part(data, card.card.task, card.labels, validation, seed)
    return examples_of(card, parts, loading=loading, absent_classes=absent_classes, progress=progress)


def examples_of(
    card: CardFile,
    parts: Parts,
    *,
    loading: Loading = _USUAL,
    absent_classes: bool = False,
    progress: Progress | None = None,
) -> Examples:
    """Open pictures that are divided already, as `open_examples` opens a folder's.

    Raises:
        InputError: the pictures do not fit the card, or the model takes no single pictures.
    """
    spec, tensor = _input_of(card)
    warnings = _checked(parts, card, absent_classes=absent_classes)
    held = len(parts.train.samples) + len(parts.validation.samples)
    in_memory = held * _bytes_of(tensor) <= loading.cache_mb << 20

    def opened(dataset: Dataset) -> PictureSet:
        share = len(dataset.samples) / held
        room, disk = (int((size << 20) * share) for size in (loading.cache_mb, loading.cache_disk_mb))
        cache = None if in_memory else FrameCache(room, disk, folder=loading.cache_folder)
        return PictureSet(dataset, spec, tensor, cache=cache, workers=loading.workers, progress=progress)

    return Examples(
        card.card.task,
        parts.train.labels,
        opened(parts.train),
        opened(parts.validation),
        spec,
        tensor,
        (*parts.warnings, *warnings),
    )


def _input_of(card: CardFile) -> tuple[Preprocess, TensorSpec]:
    """Return how pictures are prepared and what they become.

    Raises:
        InputError: the model takes no pictures, or clips or states besides.
    """
    model = card.card
    if model.preprocess is None:
        raise InputError(f"The model {model.name} takes no pictures.", hint="Give its card a `preprocess`.")
    if model.state or model.window is not None:
        what = "clips" if model.window is not None else "states beside its picture"
        raise InputError(
            f"The model {model.name} takes {what}: a folder of single pictures does not say how they follow each other.",
            hint="Draw its batches by a program: anything with `batches` is an ExampleSet.",
        )
    return model.preprocess, model.input


def _bytes_of(tensor: TensorSpec) -> int:
    return math.prod(tensor.shape[1:]) * tensor.numpy_dtype.itemsize


def _checked(parts: Parts, card: CardFile, *, absent_classes: bool) -> tuple[str, ...]:
    """Check that there is something to learn from; return what only looks wrong."""
    task, labels = card.card.task, card.labels
    if task == "text":
        check_texts([*parts.train.samples, *parts.validation.samples], labels)
    if task == "detect":
        for what, samples in (("learn from", parts.train.samples), ("judge by", parts.validation.samples)):
            if not any(len(sample.truth.class_ids) for sample in cast("Sequence[BoxSample]", samples)):
                raise InputError(
                    f"No picture to {what} has a box.", hint="Label its objects, or give a larger share for validation."
                )
    if task != "classify":
        return ()
    learnt, judged = _counts(parts.train.samples), _counts(parts.validation.samples)
    names = labels or tuple(str(i) for i in range(max([*learnt, *judged]) + 1))
    if absent := [name for i, name in enumerate(names) if not learnt[i]]:
        said = f"{_listed(absent)} {'has' if len(absent) == 1 else 'have'} no picture to learn from."
        if not absent_classes:
            raise InputError(
                f"Of {len(names)} classes {said}",
                hint="Add pictures of it, or take it out of the card's labels (and the model), which would forget it.",
            )
        return (f"Of {len(names)} classes {said}",)
    unjudged = [name for i, name in enumerate(names) if not judged[i]]
    return (f"No picture of {_listed(unjudged)} is kept for validation.",) if unjudged else ()


def _counts(samples: Sequence[Sample]) -> Counter[int]:
    return Counter(c for sample in cast("Sequence[ClassSample]", samples) for c in sample.accepted)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(repr(name) for name in names[:_SHOWN])}{more}"
