"""Small pictures for reports, read again from their files: only those that are shown."""

from __future__ import annotations

from edgesdk.data.index.item import Item
from edgesdk.data.stream.pipeline import Pipeline, Unread
from edgesdk.data.stream.stages import FitWithin
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_LONGEST = 160
_QUALITY = 85


def thumbnails(items: list[Item]) -> dict[str, bytes]:
    """Return JPEG bytes by the items' names; a picture that cannot be read has none."""
    ordered = sorted(set(items), key=lambda item: (item.path, item.frame or 0))
    stream = Pipeline(ordered, _encode, stages=(FitWithin(_LONGEST),))
    return {item.name: data for item, data in stream if not isinstance(data, Unread)}


def _encode(_item: Item, picture: Array) -> bytes:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(data.tobytes())
