"""All heads by name, as `postprocess.head` and `--head` take them."""

from __future__ import annotations

import difflib

from edgesdk_targets.decode.heads.boxes_and_scores import BOXES_SCORES, DETR, RTDETR, SSD
from edgesdk_targets.decode.heads.fastestdet import FASTESTDET
from edgesdk_targets.decode.heads.head import Head
from edgesdk_targets.decode.heads.table import END2END, YOLOV5, YOLOV8
from edgesdk_targets.decode.heads.torchvision import TORCHVISION
from edgesdk_targets.errors import InputError

HEADS: dict[str, Head] = {
    "boxes_scores": BOXES_SCORES,
    "yolov8": YOLOV8,
    "yolov5": YOLOV5,
    "end2end": END2END,
    "detr": DETR,
    "rtdetr": RTDETR,
    "ssd": SSD,
    "torchvision": TORCHVISION,
    "fastestdet": FASTESTDET,
}
DEFAULT_HEAD = "boxes_scores"


def head_named(name: str | None) -> Head:
    """Return the head of this name; None is the card's own layout.

    Raises:
        InputError: there is no such head.
    """
    head = HEADS.get(name or DEFAULT_HEAD)
    if head is None:
        near = difflib.get_close_matches(str(name), HEADS, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"There is no head {name!r}.{meant}", hint=f"Heads: {', '.join(HEADS)}.")
    return head
