"""Read one table with a line of numbers for each box: YOLO's layouts, which look alike (pure).

A YOLO model has one row for each cell of its grids: a (H, W) input has (H/8)(W/8) + (H/16)(W/16) + (H/32)(W/32) of
them, and three times as many where each cell has three anchors. That count tells the layouts apart.
"""

from __future__ import annotations

from dataclasses import replace

from edgesdk_converters.drafting.reading import Facts, Reading, counted, reading
from edgesdk_targets.tensor import DYNAMIC, TensorSpec

# Stands for an open number of boxes: more than any real table has.
_OPEN = 10**9


def read_table(spec: TensorSpec, facts: Facts) -> list[Reading]:
    """Return the readings of one output (1, A, B), the likeliest first; none where it is no such table."""
    rows, columns = (_OPEN if size == DYNAMIC else size for size in spec.shape[1:])
    lies = rows < columns
    numbers, boxes = (rows, columns) if lies else (columns, rows)
    if numbers == _OPEN:
        return []
    if not facts.names:
        return _table_without_names(numbers, boxes, facts, lies=lies)
    found = _table_with_names(numbers, boxes, facts, lies=lies)
    if found:
        return found
    doubt = f"but the exporter names {facts.names} classes"
    return [replace(one, doubt=doubt) for one in _table_without_names(numbers, boxes, facts, lies=lies)]


def _table_without_names(numbers: int, boxes: int, facts: Facts, *, lies: bool) -> list[Reading]:
    if numbers == 6:
        return _six_numbers(boxes, facts, lies=lies)
    return _lying(numbers, boxes, facts) if lies else _standing(numbers, boxes, facts)


def _table_with_names(numbers: int, boxes: int, facts: Facts, *, lies: bool) -> list[Reading]:
    """Read a table whose number of classes the exporter told."""
    named = f"the exporter names {facts.names} classes"
    if "rtdetr" in facts.metadata.family and numbers == 4 + facts.names and not lies:
        # Ultralytics writes its RT-DETR as one table, with boxes as fractions and a picture that is stretched.
        changes = {"box_format": "cxcywh", "box_units": "unit", "iou_threshold": 1.0}
        why = f"RT-DETR in one table; {named}"
        found = reading("yolov8", why, classes=facts.names, preprocess={"resize": "stretch"}, postprocess=changes)
        return [found]
    fits = {
        "yolov8": numbers == 4 + facts.names and (lies or numbers != 6),
        "yolov5": numbers == 5 + facts.names and not lies and (numbers != 6 or _on_grid(boxes, facts, 3) is not False),
        "end2end": numbers == 6 and not lies and _on_grid(boxes, facts, 3) is not True,
    }
    if fits["yolov5"] and fits["end2end"] and _on_grid(boxes, facts, 3) is None and boxes <= 1000:
        fits["yolov5"] = False
    return [reading(name, named, classes=facts.names) for name, fit in fits.items() if fit]


def _six_numbers(boxes: int, facts: Facts, *, lies: bool) -> list[Reading]:
    """Read six numbers a box: corners, score, class; or one class with objectness; or two classes without."""
    if not lies and _on_grid(boxes, facts, 3) is True:
        return [reading("yolov5", counted(1), classes=1)]
    if not lies and _on_grid(boxes, facts, 1) is False:
        return [reading("end2end")]
    two = reading("yolov8", counted(2), classes=2)
    one = reading("yolov5", counted(1), classes=1)
    return [two, one, reading("end2end")]


def _lying(numbers: int, boxes: int, facts: Facts) -> list[Reading]:
    if numbers < 5:
        return []
    doubt = ""
    if _on_grid(boxes, facts, 1) is False:
        doubt = "the number of boxes is not YOLOv8's for this size"
    elif numbers == 56:
        doubt = "a model of 17 keypoints has as many rows"
    return [reading("yolov8", counted(numbers - 4), classes=numbers - 4, doubt=doubt)]


def _standing(numbers: int, boxes: int, facts: Facts) -> list[Reading]:
    if numbers < 6:
        return []
    old = reading("yolov5", counted(numbers - 5), classes=numbers - 5)
    if _on_grid(boxes, facts, 3) is True:
        return [old]
    turned = reading("yolov8", counted(numbers - 4), classes=numbers - 4, doubt="turned by a tool")
    if _on_grid(boxes, facts, 1) is True:
        raw = "YOLOX, which must be exported with its decoding: --decode_in_inference"
        return [turned, replace(old, doubt=raw)]
    return [replace(old, doubt="the number of boxes is not YOLOv5's"), turned]


def _on_grid(boxes: int, facts: Facts, anchors: int) -> bool | None:
    """Say whether a table has `anchors` boxes for each cell of the usual grids; None where the size is not known."""
    if facts.size is None or boxes >= _OPEN:
        return None
    height, width = facts.size
    cells = {stride: (height // stride) * (width // stride) for stride in (4, 8, 16, 32, 64)}
    usual = cells[8] + cells[16] + cells[32]
    # Also the models with one finer or coarser grid, or without the finest.
    counts = {usual, usual + cells[64], usual + cells[4], usual - cells[8]}
    return boxes in {anchors * count for count in counts}
