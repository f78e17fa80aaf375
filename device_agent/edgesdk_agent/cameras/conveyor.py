"""A synthetic camera: handwritten digits on a moving conveyor, with the truth logged beside it.

The digits are the test split, which no sample model was trained on (UCI "Optical Recognition of Handwritten Digits",
E. Alpaydin and C. Kaynak, CC BY 4.0, 8x8 form as in scikit-learn). The truth goes to a file and nowhere else: it is
joined to the results by `seq` after the run.
"""

from __future__ import annotations

import errno
import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.conveyor_scene import HEIGHT, WIDTH, ConveyorScene, Truth
from edgesdk_targets.errors import CameraLost, DeviceError, InputError, NoSpace
from edgesdk_targets.tensor import Array

DIGITS_FILE = Path(__file__).with_name("conveyor_digits.npz")


class ConveyorCamera:
    """Deliver 320x240 pictures of the conveyor.

    Args:
        seed: which belt; the same seed and frame index give the same picture.
        fps: pictures a second of a live camera; only described when not live.
        live: keep time with the clock. A reader that comes late gets the newest picture, and the ones between are
            never seen, as with a real camera. When not live, every picture is delivered, as fast as it is read.
        frames: the belt stops after so many pictures, seen or not; None runs for ever.
        truth_path: JSON lines, one a delivered picture: `{"seq": 0, "boxes": [[x1, y1, x2, y2]], "labels": ["7"]}`,
            where `seq` counts the delivered pictures from 0. Written out when the camera is closed.
        clock: monotonic seconds.
        wait: wait that many seconds, return True when the camera was closed meanwhile.

    Raises:
        InputError: an option cannot be used.
        CameraLost: the digits that belong to the package are missing or damaged.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        fps: float = 30.0,
        live: bool = True,
        frames: int | None = None,
        truth_path: str | Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        _check_options(seed, fps, frames)
        self._info = CameraInfo(WIDTH, HEIGHT, fps, live, f"conveyor, seed {seed}")
        self._scene = ConveyorScene(*load_digits(), seed=seed)
        self._frames = frames
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._start: float | None = None
        self._next = 0
        self._truth = TruthLog(Path(truth_path)) if truth_path is not None else None

    @property
    def info(self) -> CameraInfo:
        """What this camera delivers."""
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture, (240, 320, 3) uint8 BGR, or None at the end or when closed.

        Args:
            out: is filled and returned when it is C-contiguous uint8 of that shape; otherwise a new array is.

        Raises:
            NoSpace: the disk of the truth is full.
        """
        index = self._due() if self._info.live else self._next
        if self._closed.is_set() or (self._frames is not None and index >= self._frames):
            return None
        self._next = index + 1
        picture = out if out is not None and _fits(out) else np.empty((HEIGHT, WIDTH, 3), np.uint8)
        self._scene.draw(index, picture)
        if self._truth is not None and not self._truth.add(self._scene.truth(index)):
            return None  # closed while it was drawn: no picture is delivered whose truth is not told
        return picture

    def close(self) -> None:
        """Stop, wake a waiting reader, and write the truth out."""
        self._closed.set()
        if self._truth is not None:
            self._truth.close()

    def _due(self) -> int:
        """Wait for the next picture's time, and return the index of the newest one."""
        fps = self._info.fps or 1.0
        if self._start is None:
            self._start = self._clock()
        # Each picture's time is counted from the start, so that late wake-ups do not add up.
        early = self._start + self._next / fps - self._clock()
        ended = self._frames is not None and self._next >= self._frames
        if early > 0 and not ended:
            self._wait(early)
        return max(self._next, int((self._clock() - self._start) * fps))


class TruthLog:
    """A file of what was really on each delivered picture, one JSON document a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seq = 0
        self._lock = threading.Lock()
        try:
            self._file: IO[str] | None = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"The truth cannot be written to {path}: {error.strerror}.",
                hint="Give a file in a folder that exists and may be written.",
            ) from error

    def add(self, truth: Truth) -> bool:
        """Append the truth of the next delivered picture; False, and nothing, once the log is closed."""
        boxes = [[round(float(value), 1) for value in box] for box in truth.boxes]
        line = {"seq": self._seq, "boxes": boxes, "labels": [str(label) for label in truth.labels.tolist()]}
        with self._lock:
            if self._file is None:
                return False
            try:
                self._file.write(json.dumps(line) + "\n")
            except OSError as error:
                raise self._failure(error) from error
            self._seq += 1
            return True

    def close(self) -> None:
        """Write out what is pending and close the file; a second call does nothing."""
        with self._lock:
            file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> DeviceError:
        kind = NoSpace if error.errno in {errno.ENOSPC, errno.EDQUOT} else DeviceError
        return kind(
            f"The truth could not be written to {self._path}: {error.strerror}.",
            hint="Free some space or give another file; the pictures themselves need none.",
        )


def load_digits() -> tuple[Array, Array]:
    """Load the test split: images (N, 8, 8) uint8 with ink 0..16, and labels (N,) uint8.

    Raises:
        CameraLost: the file is missing or damaged.
    """
    try:
        # numpy does not close a file that it opened itself and could not read.
        with DIGITS_FILE.open("rb") as file, np.load(file, allow_pickle=False) as data:
            images: Array = data["images"]
            labels: Array = data["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CameraLost(
            f"The conveyor's digits, {DIGITS_FILE.name}, are missing or damaged.",
            hint="Install edgesdk again.",
        ) from error
    return images, labels


def _fits(out: Array) -> bool:
    return out.shape == (HEIGHT, WIDTH, 3) and out.dtype == np.uint8 and out.flags.c_contiguous


def _check_options(seed: int, fps: float, frames: int | None) -> None:
    if seed < 0:
        raise InputError(f"The conveyor's seed is {seed}; it must be 0 or more.", hint="Use seed: 0.")
    if not 0 < fps <= 1000:
        raise InputError(f"The conveyor's fps is {fps:g}; it must be above 0, at most 1000.", hint="Use fps: 30.")
    if frames is not None and frames < 1:
        raise InputError(
            f"The conveyor's frames is {frames}; it must be 1 or more.",
            hint="Leave it out for a belt that does not stop.",
        )
