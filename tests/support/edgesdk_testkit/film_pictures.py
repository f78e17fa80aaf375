"""The pictures of a film or clip, and the times that are stamped into them."""

from __future__ import annotations

from pathlib import Path

import cv2

from edgesdk_targets.tensor import Array
from edgesdk_testkit.pixel_stamp import read_stamp


def film_pictures(path: Path) -> list[Array]:
    """Decode a film or clip."""
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        read, picture = capture.read()
        if not read:
            return found
        found.append(picture)


def film_stamps(path: Path) -> list[float]:
    """Return when each picture of a film with stamps was made."""
    return [read_stamp(picture) for picture in film_pictures(path)]
