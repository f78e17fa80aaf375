"""OpenCV, or the error that says how to get it; whoever needs it takes it from here."""

from __future__ import annotations

from edgesdk_targets.errors import MissingExtra

try:
    import cv2
except ImportError as error:
    raise MissingExtra("opencv-python-headless", "agent") from error

__all__ = ["cv2"]
