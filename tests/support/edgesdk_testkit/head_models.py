"""Models with the outputs and metadata of the field's exporters, in which known objects are planted.

Each is a small ONNX graph: its outputs are constants plus a millionth of the picture's mean, so that they depend on the
input as a model's do. Names, shapes and properties are as the named exporter writes them; no exporter's code or weights
are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
HEIGHT, WIDTH = 64, 96
NAMES = ("person", "traffic light", "hot dog: 'mustard'")
# 8x12 + 4x6 + 2x3 cells at strides 8, 16 and 32.
CELLS = 126


@dataclass(frozen=True)
class Planted:
    """One object that the model finds: corners in pixels of its input."""

    class_id: int
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class HeadModel:
    """A model file and what it must answer.

    Attributes:
        head: as `postprocess.head`; None for other tasks.
        labels: that its metadata tell; empty where they tell none.
        told: `--head` that is needed, None where it is recognised.
        side_files: text files that its exporter puts beside it.
    """

    name: str
    data: bytes
    task: str
    head: str | None
    objects: tuple[Planted, ...] = ()
    labels: tuple[str, ...] = ()
    told: str | None = None
    side_files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write the model and its side files; return the model's path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.onnx"
        path.write_bytes(self.data)
        for name, text in self.side_files.items():
            (folder / name).write_text(text, "utf-8")
        return path


# Two of one class that overlap (the weaker must go where the layout needs suppression), and one of another class.
STRONG = Planted(2, 0.9, (10.0, 12.0, 40.0, 44.0))
SHADOW = Planted(2, 0.6, (11.0, 13.0, 41.0, 45.0))
OTHER = Planted(0, 0.7, (50.0, 8.0, 90.0, 28.0))
FOUND = (STRONG, OTHER)


def yolov8(*, names: bool = True, open_sizes: bool = False) -> HeadModel:
    table = np.zeros((1, 4 + len(NAMES), CELLS), np.float32)
    for column, planted in ((5, STRONG), (6, SHADOW), (99, OTHER)):
        table[0, :4, column] = centred(planted.box)
        table[0, 4 + planted.class_id, column] = planted.score
    sides: tuple[Any, ...] = ("height", "width") if open_sizes else (HEIGHT, WIDTH)
    metadata = _ultralytics("YOLOv8n", "detect") if names else {}
    data = graph([("output0", table)], metadata, ("images", ("batch" if open_sizes else 1, 3, *sides)), open_sizes)
    return HeadModel("yolov8", data, "detect", "yolov8", FOUND, NAMES if names else ())


def yolov5() -> HeadModel:
    table = np.zeros((1, 3 * CELLS, 5 + len(NAMES)), np.float32)
    for row, planted in ((5, STRONG), (6, SHADOW), (99, OTHER)):
        table[0, row, :4] = centred(planted.box)
        table[0, row, 4] = 0.95
        table[0, row, 5 + planted.class_id] = planted.score / 0.95
    table[0, 40] = [30, 30, 10, 10, 0.05, 1, 1, 1]  # a sure class of no object
    metadata = {"stride": "32", "names": str(dict(enumerate(NAMES)))}
    return HeadModel("yolov5", graph([("output0", table)], metadata, "images"), "detect", "yolov5", FOUND, NAMES)


def yolov10() -> HeadModel:
    """Suppressed inside: the two that overlap are the model's own decision, and both stay."""
    table = np.zeros((1, 300, 6), np.float32)
    for row, planted in enumerate((STRONG, OTHER, SHADOW)):
        table[0, row] = [*planted.box, planted.score, planted.class_id]
    data = graph([("output0", table)], _ultralytics("YOLOv10n", "detect"), "images")
    return HeadModel("yolov10", data, "detect", "end2end", (STRONG, OTHER, SHADOW), NAMES)


def ultralytics_rtdetr() -> HeadModel:
    table = np.zeros((1, 300, 4 + len(NAMES)), np.float32)
    for row, planted in enumerate((STRONG, OTHER, SHADOW)):
        table[0, row, :4] = centred(planted.box) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
        table[0, row, 4 + planted.class_id] = planted.score
    data = graph([("output0", table)], _ultralytics("rtdetr-l", "detect"), "images")
    return HeadModel("rtdetr-l", data, "detect", "yolov8", (STRONG, OTHER, SHADOW), NAMES)


def detr() -> HeadModel:
    boxes, logits = _queries(len(NAMES) + 1, nothing=6.0)
    data = graph([("logits", logits), ("pred_boxes", boxes)], {}, "pixel_values")
    files = {"config.json": _config("detr"), "preprocessor_config.json": _processor(do_normalize=True)}
    objects = tuple(Planted(p.class_id, soft(p.score, len(NAMES)), p.box) for p in (STRONG, OTHER, SHADOW))
    return HeadModel("detr", data, "detect", "detr", objects, NAMES, side_files=files)


def rtdetr() -> HeadModel:
    boxes, logits = _queries(len(NAMES), nothing=None)
    data = graph([("logits", logits), ("pred_boxes", boxes)], {}, "pixel_values")
    files = {"config.json": _config("rt_detr"), "preprocessor_config.json": _processor(do_normalize=False)}
    return HeadModel("rtdetr", data, "detect", "rtdetr", (STRONG, OTHER, SHADOW), NAMES, side_files=files)


def ssd() -> HeadModel:
    """UltraFace's authors' layout: softmax over background and classes, boxes as fractions of the input."""
    boxes = np.zeros((1, CELLS, 4), np.float32)
    scores = np.full((1, CELLS, 1 + len(NAMES)), -20.0, np.float32)
    scores[..., 0] = 0.0
    for row, planted in ((5, STRONG), (6, SHADOW), (99, OTHER)):
        boxes[0, row] = np.asarray(planted.box) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
        scores[0, row, 1 + planted.class_id] = np.log(planted.score)
        scores[0, row, 0] = np.log(1 - planted.score)
    data = graph([("scores", scores), ("boxes", boxes)], {}, "input", softmax="scores")
    # Without labels a class keeps the model's own number, which counts the background.
    objects = tuple(Planted(p.class_id + 1, p.score, p.box) for p in FOUND)
    return HeadModel("ssd", data, "detect", "ssd", objects)


def torchvision_detection(*, open_count: bool = False) -> HeadModel:
    """Boxes, labels from 1, and scores, already suppressed; as exported, their number changes with the picture."""
    planted = (STRONG, OTHER, Planted(1, 0.1, (1.0, 1.0, 9.0, 9.0)))
    outputs = [
        ("boxes", np.asarray([p.box for p in planted], np.float32)),
        ("labels", np.asarray([p.class_id + 1 for p in planted], np.int64)),
        ("scores", np.asarray([p.score for p in planted], np.float32)),
    ]
    objects = tuple(Planted(p.class_id + 1, p.score, p.box) for p in FOUND)
    data = graph(outputs, {}, "images", open_first=open_count)
    return HeadModel("torchvision_detection", data, "detect", "torchvision", objects)


def timm_classifier() -> HeadModel:
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 285] = 12.0
    return HeadModel("timm_classifier", graph([("output0", logits)], {}, "input0"), "classify", None)


def ultralytics_classifier() -> HeadModel:
    scores = np.log(np.asarray([[0.2, 0.7, 0.1]], np.float32))
    metadata = _ultralytics("YOLOv8n-cls", "classify")
    data = graph([("output0", scores)], metadata, "images", softmax="output0")
    return HeadModel("ultralytics_classifier", data, "classify", None, labels=NAMES)


def hugging_face_classifier() -> HeadModel:
    data = graph([("logits", np.asarray([[0.0, 3.0, 1.0]], np.float32))], {}, "pixel_values")
    files = {"config.json": _config("vit"), "preprocessor_config.json": _processor(do_normalize=True)}
    return HeadModel("hugging_face_classifier", data, "classify", None, labels=NAMES, side_files=files)


def streaming_reader() -> HeadModel:
    """One slice of a gray picture in, CTC classes out; `h` goes out as `h_out` and in again."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["seen"]),
        helper.make_node("Add", ["seen", "h"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["h_out"]),
        helper.make_node("MatMul", ["h_out", "v"], ["logits"]),
    ]
    weights = [
        _weight("w", rng.normal(0, 1, (32, 6)).astype(np.float32)),
        _weight("v", rng.normal(0, 1, (6, 11)).astype(np.float32)),
    ]
    inputs = {"image": (1, 1, 8, 4), "h": (1, 6)}
    outputs = {"logits": (1, 11), "h_out": (1, 6)}
    data = _model(nodes, _floats(inputs), _floats(outputs), weights, {})
    return HeadModel("streaming_reader", data, "text", None, told="text")


def detectors() -> tuple[HeadModel, ...]:
    """Return one model of each detector's layout."""
    return (
        yolov8(), yolov5(), yolov10(), ultralytics_rtdetr(), detr(), rtdetr(), ssd(), torchvision_detection(),
    )  # fmt: skip


def centred(box: Sequence[float]) -> Array:
    """Return centre and size of a box given by its corners."""
    x1, y1, x2, y2 = box
    return np.asarray(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), np.float32)


def soft(score: float, others: int) -> float:
    """Return the probability of a class whose logit is that of `score`, beside `others` zeros."""
    odds = score / (1 - score)
    return odds / (odds + others)


def graph(
    outputs: Sequence[tuple[str, Array]],
    metadata: dict[str, str],
    image: str | tuple[str, tuple[Any, ...]],
    open_batch: bool = False,
    *,
    softmax: str = "",
    open_first: bool = False,
) -> bytes:
    """Build a model.

    Args:
        outputs: name and constant of each.
        metadata: properties.
        image: the input's name, and its shape where it is not one picture of the usual size.
        open_batch: the outputs' first size is declared open, as with dynamic axes.
        softmax: the output that a Softmax makes of its constant.
        open_first: outputs hold only rows whose score is over 0.05, so that their number is open.
    """
    name, shape = (image, (1, 3, HEIGHT, WIDTH)) if isinstance(image, str) else image
    nodes = [
        helper.make_node("ReduceMean", [name], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "millionth"], ["small"]),
        helper.make_node("Reshape", ["small", "one"], ["offset"]),
        helper.make_node("Cast", ["offset"], ["whole_offset"], to=TensorProto.INT64),
    ]
    weights = [_weight("millionth", np.asarray(1e-6, np.float32)), _weight("one", np.asarray([1], np.int64))]
    values = []
    if open_first:
        scores = dict(outputs)["scores"]
        weights += [_weight("all_scores", scores), _weight("floor", np.asarray(0.05, np.float32))]
        nodes += [
            helper.make_node("Add", ["all_scores", "offset"], ["their_scores"]),
            helper.make_node("Greater", ["their_scores", "floor"], ["over"]),
        ]
    for output, value in outputs:
        weights.append(_weight(f"{output}.constant", value))
        offset = "whole_offset" if value.dtype == np.int64 else "offset"
        last = f"{output}.sum" if softmax == output or open_first else output
        nodes.append(helper.make_node("Add", [f"{output}.constant", offset], [last]))
        if softmax == output:
            nodes.append(helper.make_node("Softmax", [last], [output], axis=-1))
        elif open_first:
            nodes.append(helper.make_node("Compress", [last, "over"], [output], axis=0))
        sizes: list[Any] = list(value.shape)
        if open_batch or open_first:
            sizes[0] = "open"
        values.append(helper.make_tensor_value_info(output, helper.np_dtype_to_tensor_dtype(value.dtype), sizes))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))]
    return _model(nodes, inputs, values, weights, metadata)


def _model(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any], metadata: dict[str, str]
) -> bytes:
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(helper.make_graph(nodes, "planted", inputs, outputs, weights), opset_imports=opset)
    model.ir_version = 8
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _floats(shapes: dict[str, tuple[int, ...]]) -> list[Any]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()]


def _weight(name: str, value: Array) -> Any:
    return numpy_helper.from_array(value, name)


def _queries(width: int, *, nothing: float | None) -> tuple[Array, Array]:
    """Return boxes (1, 20, 4) and logits (1, 20, width) of a DETR; `nothing` is the logit of "no object"."""
    boxes = np.full((1, 20, 4), 0.5, np.float32)
    logits = np.zeros((1, 20, width), np.float32)
    if nothing is None:
        logits[...] = -9.0
    else:
        logits[..., -1] = nothing
    for query, planted in ((3, STRONG), (7, OTHER), (11, SHADOW)):
        boxes[0, query] = centred(planted.box) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
        logits[0, query] = -9.0 if nothing is None else 0.0
        logits[0, query, planted.class_id] = np.log(planted.score / (1 - planted.score))
    return boxes, logits


def _ultralytics(name: str, task: str) -> dict[str, str]:
    return {
        "description": f"Ultralytics {name} model trained on data.yaml",
        "author": "Ultralytics",
        "version": "8.3.0",
        "stride": "32",
        "task": task,
        "batch": "1",
        "imgsz": str([HEIGHT, WIDTH]),
        "names": str(dict(enumerate(NAMES))),
        "channels": "3",
    }


def _config(model_type: str) -> str:
    import json

    names = {str(i): name for i, name in enumerate(NAMES)}
    return json.dumps({"model_type": model_type, "id2label": names, "architectures": ["Model"]})


def _processor(*, do_normalize: bool) -> str:
    import json

    steps = {
        "do_resize": True,
        "size": {"height": HEIGHT, "width": WIDTH},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": do_normalize,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    return json.dumps(steps)
