"""The stream of a dataset's pictures: read → decode → stages → (cache) → work, in bounded memory.

    items ─▶ [read · decode · stages ─▶ cache ─▶ work] on each worker ─▶ answers in the items' order

At most `ahead` pictures are alive at once. A picture that cannot be read becomes an `Unread` in its place: one bad file ends
nothing. Frames of a video are decoded one after the other by the thread that asks, and worked on by the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgesdk.data.index.item import Item
from edgesdk.data.picture_file import read_picture
from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.data.stream.read_ahead import in_order, threads
from edgesdk.data.stream.stages import Stage, composed
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2, one_opencv_thread
from edgesdk_targets.tensor import Array

Answer = TypeVar("Answer")
Progress = Callable[[str], None]
# Between two frames so far apart a video is sought; nearer ones are reached by decoding what lies between.
_SEEK_BEYOND = 250
_SAY_EVERY = 50


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture that could not be read, and why."""

    reason: InputError


@dataclass(frozen=True, slots=True)
class _Job:
    item: Item
    frame: Array | Unread | None


class Pipeline(Generic[Answer]):
    """A pass over pictures, repeatable; a second one takes what the cache kept.

    Args:
        work: item and prepared picture, (H, W, 3) uint8 BGR, read only → an answer; called on the workers.
        stages: what is done to each picture before.
        cache: keeps the prepared pictures.
        workers: threads; None for one a core that this process may use.
        ahead: pictures alive at once; None for three a worker.
        progress: told a line from time to time.
    """

    def __init__(
        self,
        items: Sequence[Item],
        work: Callable[[Item, Array], Answer],
        *,
        stages: Sequence[Stage] = (),
        cache: FrameCache | None = None,
        workers: int | None = None,
        ahead: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._items, self._work, self._cache = items, work, cache
        self._prepare = composed(tuple(stages))
        self._workers = threads(workers)
        self._ahead = ahead or 3 * self._workers
        self._progress = progress

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[Item, Answer | Unread]]:
        """Yield each item with its answer, in order."""
        # The workers are the threads: OpenCV's own would wait for each other.
        with one_opencv_thread():
            answers = in_order(self._jobs(), self._answer, workers=self._workers, ahead=self._ahead)
            for number, (item, answer) in enumerate(zip(self._items, answers, strict=True), 1):
                if self._progress is not None and (number % _SAY_EVERY == 0 or number == len(self._items)):
                    self._progress(f"{number} of {len(self._items)} pictures")
                yield item, answer

    def _answer(self, job: _Job) -> Answer | Unread:
        try:
            return self._work(job.item, self._picture(job))
        except InputError as error:
            return Unread(error)

    def _picture(self, job: _Job) -> Array:
        cached = self._cache.get(job.item.name) if self._cache is not None else None
        if cached is not None:
            return cached
        if isinstance(job.frame, Unread):
            raise job.frame.reason
        picture = self._prepare(read_picture(job.item.path) if job.frame is None else job.frame)
        if self._cache is not None:
            picture.setflags(write=False)
            self._cache.put(job.item.name, picture)
        return picture

    def _jobs(self) -> Iterator[_Job]:
        video: _Video | None = None
        for item in self._items:
            if item.frame is None or (self._cache is not None and item.name in self._cache):
                yield _Job(item, None)
                continue
            if video is None or video.path != item.path:
                video = _Video(item.path)
            yield _Job(item, video.frame(item.frame))


class _Video:
    """A video read forwards, or sought in where frames lie far apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._capture: Any = cv2.VideoCapture(str(path))
        self._next = 0

    def frame(self, number: int) -> Array | Unread:
        if number < self._next or number - self._next > _SEEK_BEYOND:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        else:
            for _ in range(number - self._next):
                self._capture.grab()
        self._next = number + 1
        whole, frame = self._capture.read()
        if not whole:
            return Unread(InputError(f"{self.path} has no frame {number}.", hint="It may be cut off; copy it again."))
        picture: Array = frame
        return picture
