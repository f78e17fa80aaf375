"""OpenCV, or the error that says how to get it; whoever needs it takes it from here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgesdk_targets.errors import MissingExtra

try:
    import cv2
except ImportError as error:
    raise MissingExtra("opencv-python-headless", "agent") from error

__all__ = ["cv2", "one_opencv_thread"]


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV start no threads of its own meanwhile, in the whole process."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
