"""Call a model like a function, with one picture or several, from any number of threads.

A model lets `lanes` slots infer at the same time. So many are kept here; a call takes a free one, waits where there is
none, and gives it back. What two threads ask at once is therefore answered as if they had asked one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar, Union

import numpy as np

from edgesdk_targets.errors import SessionFailed
from edgesdk_targets.tensor import Array

# An array (H, W, 3) uint8 BGR, or the path of a file.
Picture = Union[Array, str, Path]  # noqa: UP007  (an alias that runs on Python 3.10)

Answer_co = TypeVar("Answer_co", covariant=True)
Answer = TypeVar("Answer")


class CalledSlot(Protocol[Answer_co]):
    """One preallocated input."""

    def prepare(self, image: Array) -> None: ...

    def infer(self, camera: str, seq: int) -> Answer_co: ...


class Called(Protocol[Answer_co]):
    """What is called: a model, or a chain of them."""

    @property
    def lanes(self) -> int: ...

    def slots(self, count: int) -> Sequence[CalledSlot[Answer_co]]: ...


class Calls(Generic[Answer]):
    """The calls of one model; its slots are allocated at the first."""

    def __init__(self, model: Called[Answer]) -> None:
        self._model = model
        self._changed = threading.Condition()
        self._free: list[CalledSlot[Answer]] | None = None
        self._running = 0
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None
        self._seq: dict[str, int] = {}

    @property
    def state(self) -> str:
        """Whether calls are answered, in a word: open or closed."""
        return "closed" if self._closed else "open"

    def one(self, picture: Picture, camera: str) -> Answer:
        """Answer for one picture.

        Raises:
            InputError: it cannot be used.
            SessionFailed: the runtime failed, or the model is closed.
        """
        image = _read(picture)
        with self._slot() as slot:
            slot.prepare(image)
            # Counted while the slot is held: where there is one lane, in the order of inference. A picture that was
            # refused is none of the camera's frames, and leaves no gap.
            return slot.infer(camera, self._next(camera))

    def each(self, pictures: Iterable[Picture], camera: str) -> list[Answer]:
        """Answer for several pictures, in their order; on all lanes at once.

        Raises:
            InputError: one cannot be used; those after it may not have been asked about.
            SessionFailed: the runtime failed, or the model is closed.
        """
        if self._model.lanes == 1:
            return [self.one(picture, camera) for picture in pictures]
        return list(self._batch_threads().map(lambda picture: self.one(picture, camera), pictures))

    def together(
        self,
        pictures: Sequence[Picture],
        size: int,
        ask: Callable[[CalledSlot[Answer], Sequence[Array]], list[Answer]],
    ) -> list[Answer]:
        """Answer for several pictures, in their order, `size` of them by one inference; on all lanes at once.

        Args:
            ask: has a slot answer for at most so many.

        Raises:
            InputError: one cannot be used; those after it may not have been asked about.
            SessionFailed: the runtime failed, or the model is closed.
        """

        def answered(start: int) -> list[Answer]:
            images = [_read(picture) for picture in pictures[start : start + size]]
            with self._slot() as slot:
                return ask(slot, images)

        starts = range(0, len(pictures), size)
        groups = map(answered, starts) if self._model.lanes == 1 else self._batch_threads().map(answered, starts)
        return [answer for group in groups for answer in group]

    def close(self) -> None:
        """Refuse further calls, and wait for those that are running."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._running == 0)
            self._free = None
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(cancel_futures=True)

    @contextmanager
    def _slot(self) -> Iterator[CalledSlot[Answer]]:
        with self._changed:
            if self._free is None and not self._closed:
                self._free = list(self._model.slots(self._model.lanes))
            self._changed.wait_for(lambda: self._closed or self._free)
            if self._closed or self._free is None:
                raise SessionFailed("The model is closed.", hint="Load it again.")
            slot = self._free.pop()
            self._running += 1
        try:
            yield slot
        finally:
            with self._changed:
                self._running -= 1
                self._free.append(slot)
                # Callers wait for a slot, and `close` for the last one.
                self._changed.notify_all()

    def _next(self, camera: str) -> int:
        with self._changed:
            seq = self._seq[camera] = self._seq.get(camera, -1) + 1
        return seq

    def _batch_threads(self) -> ThreadPoolExecutor:
        with self._changed:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._model.lanes, "edgesdk-batch")
            return self._threads


def is_batch(pictures: object) -> bool:
    """Say whether this is several pictures: a list or tuple, or an array (N, H, W, 3)."""
    return isinstance(pictures, (list, tuple)) or (isinstance(pictures, np.ndarray) and pictures.ndim == 4)


def _read(picture: Picture) -> Array:
    if not isinstance(picture, (str, Path)):
        return picture
    from edgesdk_targets.preprocess.image_file import read_image

    return read_image(picture)
