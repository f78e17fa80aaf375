"""What a model answers on every picture of a dataset, asked once and kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Union

import numpy as np

from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.groups import thumbnail
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.results import Classification, Detections, Embedding, Regression, Result, Text
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from edgesdk_targets.model import Model

Predict = Callable[[Array], Result]
Progress = Callable[[int, int], None]
Picture = Union[Path, Array]  # noqa: UP007  (an alias that runs on Python 3.10)


class Pictures(Protocol):
    """Pictures in a fixed order, as often as wanted: files, or arrays (H, W, 3) uint8 BGR that may be decoded anew."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Picture]: ...


KINDS: dict[str, type[Result]] = {
    "classify": Classification,
    "detect": Detections,
    "text": Text,
    "embed": Embedding,
    "regress": Regression,
}


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A model's answers in the order of the pictures.

    Attributes:
        sizes: height and width of each picture.
        thumbnails: (n, 256) float32, by which equal pictures are found.
        paths: of the pictures; None where one is no file.
    """

    results: tuple[Result, ...]
    sizes: tuple[tuple[int, int], ...]
    thumbnails: Array
    paths: tuple[Path | None, ...]

    def __len__(self) -> int:
        return len(self.results)

    def only(self, places: Sequence[int]) -> Answers:
        """Return the answers to some of the pictures."""
        return Answers(
            tuple(self.results[i] for i in places),
            tuple(self.sizes[i] for i in places),
            self.thumbnails[list(places)],
            tuple(self.paths[i] for i in places),
        )

    def broken(self) -> list[int]:
        """Return the places of answers that hold no numbers: undefined, infinite, or a classifier without any score."""
        return [i for i, result in enumerate(self.results) if _is_broken(result)]


def each_alone(model: Model) -> Predict:
    """Return the model for pictures that have nothing to do with each other: no state is carried on."""

    def predict(image: Array) -> Result:
        model.reset()
        return model(image)

    return predict if model.manifest.state else model


def collect(predict: Predict, pictures: Pictures, progress: Progress | None = None) -> Answers:
    """Ask a model about every picture.

    Args:
        predict: answers for one picture (H, W, 3) uint8 BGR.
        pictures: files, read one at a time, or arrays.
        progress: called with the number of pictures done and of all.

    Raises:
        InputError: a picture cannot be read, or there is none.
    """
    results: list[Result] = []
    sizes: list[tuple[int, int]] = []
    thumbnails: list[Array] = []
    paths: list[Path | None] = []
    for done, picture in enumerate(pictures, 1):
        image = read_image(picture) if isinstance(picture, Path) else picture
        results.append(predict(image))
        sizes.append((image.shape[0], image.shape[1]))
        thumbnails.append(thumbnail(image))
        paths.append(picture if isinstance(picture, Path) else None)
        if progress:
            progress(done, len(pictures))
    if not results:
        raise InputError("There are no pictures to ask about.", hint="Give a folder with pictures.")
    return Answers(tuple(results), tuple(sizes), np.stack(thumbnails), tuple(paths))


def paths_of(dataset: Dataset) -> list[Picture]:
    """Return the pictures of a dataset."""
    return [sample.path for sample in dataset.samples]


def check_kind(results: Iterable[Result], task: str) -> None:
    """Check that every answer is one for the task.

    Raises:
        InputError: one is not.
    """
    for result in results:
        if not isinstance(result, KINDS[task]):
            raise InputError(
                f"The model answers with {result.kind}, but the dataset is for {task}.",
                hint="Give a dataset for the model's task.",
            )


def in_pixels(sample: BoxSample, size: tuple[int, int]) -> Truth:
    """Return a picture's true boxes in its own pixels.

    Args:
        size: the picture's height and width.
    """
    if not sample.fractions:
        return sample.truth
    sides = np.asarray((size[1], size[0], size[1], size[0]))
    return Truth(sample.truth.boxes * sides, sample.truth.class_ids, sample.truth.crowd)


def _is_broken(result: Result) -> bool:
    if isinstance(result, Classification):
        # The decoder takes what is undefined as 0, and no activation gives 0 for every class.
        return _without_numbers(result.scores)
    if isinstance(result, Embedding):
        return _without_numbers(result.vector)
    if isinstance(result, Regression):
        return not bool(np.isfinite(result.values).all())
    # Of detections the decoder leaves out what is undefined: it is missed, and counted as that.
    return isinstance(result, Text) and not math.isfinite(result.confidence)


def _without_numbers(vector: Array) -> bool:
    """Say whether one number is undefined or infinite, or all are 0."""
    numbers = vector.tolist()
    return not any(numbers) or not all(map(math.isfinite, numbers))
