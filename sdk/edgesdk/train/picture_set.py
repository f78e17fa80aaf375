"""One set of labelled pictures, prepared for the model: all of it in memory, or streamed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from edgesdk.data.index.item import Item
from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.data.stream.pipeline import Pipeline, Unread
from edgesdk.evaluate.dataset import Dataset
from edgesdk.layouts.samples import BoxSample, Sample
from edgesdk.train.batch import Batch, Targets
from edgesdk.train.encode import Encoded, encode, together
from edgesdk.train.sample_digest import digest_of_samples
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec


class PictureSet:
    """Labelled pictures of a folder, as the model takes them.

    Args:
        dataset: what is true of them.
        spec, tensor: how a picture is prepared, and what it becomes: (1, C, H, W) or (1, H, W, C).
        cache: keeps prepared pictures while they are streamed; None prepares all at once and keeps them.
        workers: threads that read pictures; None for one a core.
        progress: told a line from time to time while all are prepared.

    Raises:
        InputError: a picture cannot be read, or the card's input and preprocessing do not fit.
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: Preprocess,
        tensor: TensorSpec,
        *,
        cache: FrameCache | None = None,
        workers: int | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._task, self._labels = dataset.task, dataset.labels
        self._samples = dataset.samples
        self._items = [Item(sample.path, str(sample.path), sample.path.name) for sample in dataset.samples]
        self._prepare = _Prepare(spec, tensor)
        self._tensor, self._workers = tensor, workers
        self._cache = cache
        self._held: tuple[Array, list[Encoded]] | None = None if self._cache is not None else self._all(progress)
        self._classes = _classes(dataset)

    def __len__(self) -> int:
        return len(self._samples)

    def digest(self) -> str:
        """Return a digest of the pictures' names, sizes and truth."""
        return digest_of_samples(self._samples, self._labels)

    def targets(self) -> Targets | None:
        """Return what is true of all pictures; None for boxes, which are in pixels of prepared pictures."""
        if self._task == "detect":
            return None
        return together(self._task, [encode(sample, self._labels, None) for sample in self._samples], self._classes)

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Yield a batch for each list of numbers, in order.

        Raises:
            InputError: a picture that is streamed cannot be read.
        """
        if self._held is None:
            yield from self._streamed([list(numbers) for numbers in wanted])
            return
        pictures, encoded = self._held
        for numbers in wanted:
            yield self._batch(pictures[np.asarray(numbers)], [encoded[i] for i in numbers])

    def _all(self, progress: Callable[[str], None] | None) -> tuple[Array, list[Encoded]]:
        pictures = np.empty((len(self), *self._tensor.shape[1:]), self._tensor.numpy_dtype)
        encoded: list[Encoded] = []
        for number, (picture, truth) in enumerate(self._read(range(len(self)), progress)):
            pictures[number] = picture
            encoded.append(truth)
        return pictures, encoded

    def _streamed(self, wanted: list[list[int]]) -> Iterator[Batch]:
        answers = self._read(list(chain.from_iterable(wanted)), None)
        for numbers in wanted:
            pairs = [next(answers) for _ in numbers]
            yield self._batch(np.stack([picture for picture, _ in pairs]), [truth for _, truth in pairs])

    def _read(self, numbers: Sequence[int], progress: Callable[[str], None] | None) -> Iterator[tuple[Array, Encoded]]:
        by_name = {item.name: sample for item, sample in zip(self._items, self._samples, strict=True)}

        def work(item: Item, picture: Array) -> tuple[Array, Encoded]:
            sample = by_name[item.name]
            return picture, encode(
                sample, self._labels, self._prepare.geometry(item.name, sample), self._prepare.spec.size
            )

        pipeline = Pipeline(
            [self._items[number] for number in numbers],
            work,
            stages=[self._prepare],
            cache=self._cache,
            workers=self._workers,
            progress=progress,
        )
        for item, answer in pipeline:
            if isinstance(answer, Unread):
                raise InputError(
                    f"{item.name} cannot be learnt from: {answer.reason.message}",
                    hint=f"Find all such pictures: edgesdk data check {item.path.parent}",
                )
            yield answer

    def _batch(self, pictures: Array, encoded: list[Encoded]) -> Batch:
        import torch

        return Batch(torch.from_numpy(pictures), together(self._task, encoded, self._classes))


@dataclass(slots=True)
class _Prepare:
    """The device's preprocessing as a stage of the stream: picture → the model's input without its first axis."""

    spec: Preprocess
    tensor: TensorSpec
    _own: threading.local = field(default_factory=threading.local)
    _geometries: dict[str, Geometry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Preprocessor(self.spec, self.tensor)  # refuses what does not fit, before any picture is read

    def __call__(self, picture: Array) -> Array:
        if not hasattr(self._own, "preprocessor"):
            self._own.preprocessor = Preprocessor(self.spec, self.tensor)
        out = self.tensor.empty()
        self._own.geometry = self._own.preprocessor.into(picture, out)
        prepared: Array = out[0]
        return prepared

    def geometry(self, name: str, sample: Sample) -> Geometry | None:
        """Return where a picture's boxes go: known from this thread's last call, or from before where the cache had it."""
        if not isinstance(sample, BoxSample):
            return None
        if name not in self._geometries:
            self._geometries[name] = self._own.geometry
        return self._geometries[name]


def _classes(dataset: Dataset) -> int:
    if dataset.labels or dataset.task != "classify":
        return len(dataset.labels)
    return 1 + max((max(sample.accepted) for sample in dataset.samples if hasattr(sample, "accepted")), default=0)
