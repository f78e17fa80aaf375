"""Draft a model card from a model file: what the file tells, what is guessed, and what only its author knows.

Each line says which of the three it is. The draft is a valid card, so that a model whose file tells enough (an
Ultralytics export) converts with it as it stands.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgesdk_converters.drafting.exported_facts import read_exported
from edgesdk_converters.drafting.onnx_facts import ModelFacts, read_onnx
from edgesdk_converters.drafting.reading import Reading, counted
from edgesdk_converters.drafting.recognise import Recognised, fields_of, recognise, resolve
from edgesdk_converters.drafting.weights_facts import input_channels, output_width, weight_shapes
from edgesdk_converters.sniff import Kind, sniff
from edgesdk_targets.decode.heads.registry import head_named
from edgesdk_targets.preprocess.spec import PRESETS

_ASSUMED_SIZE = {"detect": (640, 640), "text": (32, 128)}
_COLUMN = 46


def draft_card(model: Path, head: str | None = None, *, folder: Path | None = None) -> str:
    """Return the text of a model card, YAML with comments.

    Args:
        model: an `.onnx`, a `.pt2`, or weights.
        head: the caller's word on how the outputs are read (`--head`).
        folder: where the card will lie; None is beside the model.

    Raises:
        InputError: the file is no model, or its outputs can be read in several ways (the choices are listed).
    """
    kind = sniff(model)
    source = os.path.relpath(model.resolve(), (folder or model.parent).resolve())
    if kind in {Kind.ONNX, Kind.EXPORTED}:
        facts = read_onnx(model) if kind is Kind.ONNX else read_exported(model)
        recognised = recognise(facts.outputs, facts.inputs, facts.metadata, facts.made_by)
        lines = _known_model(recognised, resolve(recognised, head), facts, kind)
    else:
        lines = _weights_only(model, kind)
    opening = [
        f"# Drafted from {_quoted(model.name)}.",
        "# [file] is told by it, [guess] should be checked, [you] has to be filled in.",
        _line(f"name: {_name(model)}", ""),
        _line("version: 0.1.0", ""),
        _line(f"source: {_quoted(source)}", "relative to this card"),
    ]
    return "\n".join([*opening, *lines]) + "\n"


def _line(text: str, comment: str) -> str:
    return f"{text:<{_COLUMN}}  # {comment}" if comment else text


def _name(model: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.name.partition(".")[0]).strip("-._")[:64]
    return name if re.match(r"[A-Za-z0-9]", name) else "model"


def _known_model(recognised: Recognised, reading: Reading, facts: ModelFacts, kind: Kind) -> Iterator[str]:
    yield _line(f"task: {reading.task}", reading.why)
    size, comment = _size(recognised, reading)
    yield _line(f"input: {_input(recognised, size)}", comment)
    yield from _preprocess(recognised, reading, size)
    yield from _postprocess(reading)
    names = [spec.name for spec in facts.outputs]
    if kind is Kind.EXPORTED and names == ["scores", "boxes"]:
        yield _line(f"outputs: [{', '.join(names)}]", "[file] in the order in which the model returns them")
    yield from _labels(recognised, reading)
    if recognised.states:
        yield _line("state:", "[guess] carried from frame to frame, zeros at the start of a stream")
        for pair in recognised.states:
            shape, dtype = list(pair.input.shape), pair.input.dtype
            ends = f"input: {_quoted(pair.input.name)}, output: {_quoted(pair.output.name)}"
            yield f"  - {{{ends}, shape: {shape}, dtype: {dtype}}}"


def _size(recognised: Recognised, reading: Reading) -> tuple[tuple[int, int], str]:
    if recognised.image.size:
        return recognised.image.size, "[file]"
    if recognised.metadata.size:
        return recognised.metadata.size, "[file] open in the graph; the size is the exporter's"
    return _ASSUMED_SIZE.get(
        reading.task, (224, 224)
    ), "[guess] the file leaves the size open: any that it was trained for"


def _input(recognised: Recognised, size: tuple[int, int]) -> str:
    image = recognised.image
    shape = [1, *size, image.channels] if image.layout == "NHWC" else [1, image.channels, *size]
    return f"{{name: {_quoted(image.name)}, shape: {shape}, dtype: {image.dtype}, layout: {image.layout}}}"


def _quoted(text: str) -> str:
    """Write a text from somebody's file so that YAML takes it as one, whatever it holds."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _preprocess(recognised: Recognised, reading: Reading, size: tuple[int, int]) -> Iterator[str]:
    """Write every field, so that a wrong guess is seen and mended in its own line."""
    steps: dict[str, Any] = {**PRESETS[reading.preset], **reading.preprocess}
    if recognised.image.channels == 1:
        steps |= {"color": "gray", "mean": list(steps["mean"])[:1], "std": list(steps["std"])[:1]}
    if recognised.image.dtype == "uint8":
        zeros = [0] * recognised.image.channels
        steps |= {"mean": zeros, "std": [1 for _ in zeros]}
    told = bool(recognised.metadata.preprocess)
    certain = told or recognised.metadata.exporter == "ultralytics"
    comment = "[file]" if told else "[file] as its exporter prepares pictures" if certain else _guess(reading)
    yield _line("preprocess:", f"{comment}; x = (pixel - mean) / std, pixel 0..255")
    yield _line(f"  color: {steps['color']}", "rgb | bgr | gray")
    yield _line(f"  resize: {steps['resize']}", "stretch | letterbox | center_crop")
    if steps["resize"] == "letterbox":
        yield _line(f"  pad: {steps.get('pad', 114)}", "value of the border, 0..255")
    if steps["resize"] == "center_crop":
        yield _line(f"  crop_fraction: {steps.get('crop_fraction', 0.875)}", "of the short side")
    yield _line(f"  size: {list(size)}", "height, width")
    yield _line(f"  interpolation: {steps.get('interpolation', 'linear')}", "linear | area | nearest | cubic")
    yield f"  mean: {list(steps['mean'])}"
    yield f"  std: {list(steps['std'])}"


def _guess(reading: Reading) -> str:
    return f"[guess] preset {reading.preset}, usual for such models"


def _postprocess(reading: Reading) -> Iterator[str]:
    fields = fields_of(reading)
    comments = {"head": "how the outputs are laid out", "activation": "none | softmax | sigmoid"}
    if reading.task == "detect":
        fields.setdefault("score_threshold", 0.25)
        if head_named(fields.get("head")).overlaps:
            fields.setdefault("iou_threshold", 0.45)
        comments["score_threshold"] = "0..1; weaker detections are dropped"
        comments["iou_threshold"] = "of two boxes of a class that overlap more, the weaker goes"
    # Nothing in a file tells how boxes are written; the head's own way is shown, so that it can be mended.
    comments["box_format"] = "[guess] xyxy | cxcywh"
    comments["box_units"] = "[guess] pixels of the input | unit (fractions of it)"
    if reading.task == "text":
        fields.setdefault("blank", 0)
        comments["blank"] = "[guess] index of CTC's blank"
    if fields:
        yield "postprocess:"
        for key, value in fields.items():
            yield _line(f"  {key}: {value}", comments.get(key, ""))


def _labels(recognised: Recognised, reading: Reading) -> Iterator[str]:
    names = recognised.metadata.names
    if names and reading.task in {"classify", "detect"}:
        yield _line("labels:", f"[file] {len(names)}, in the model's order")
        yield from (f"  - {_quoted(name)}" for name in names)
        return
    if reading.task == "embed":
        return
    if reading.task == "text":
        many = f"{reading.classes - 1} characters" if reading.classes else "the characters"
        yield _line("labels: []", f"[you] {many} in the model's order, or a file with one a line")
        return
    many = f"a name for each of {counted(reading.classes)}" if reading.classes else "one name a class"
    yield _line("labels: []", f"[you] {many}, in the model's order, or a file with one a line")


def _weights_only(model: Path, kind: Kind) -> Iterator[str]:
    """Write what weights alone can tell: nearly nothing, but which lines are missing."""
    scripted = kind is Kind.TORCHSCRIPT
    shapes: Mapping[str, tuple[int, ...]] = {} if scripted else weight_shapes(model, kind)
    channels, width = input_channels(shapes) or 3, output_width(shapes)
    if not scripted:
        yield _line("factory: my_models:build_model", "[you] FILE:FUNCTION; my_models.py beside this card holds")
        yield _line("", "def build_model(): return MyModel(…), without weights")
        yield _line("factory_args: {}", "[you] what the function is called with")
    end = f"; the last layer gives {width} numbers" if width else ""
    yield _line("task: classify", f"[you] classify | detect | text | embed | regress{end}")
    told = "[file] channels; [you] height and width" if input_channels(shapes) else "[you]"
    yield _line(f"input: {{shape: [1, {channels}, 224, 224], dtype: float32, layout: NCHW}}", told)
    yield _line("preprocess:", "[you] as in training; x = (pixel - mean) / std, pixel 0..255")
    gray = channels == 1
    yield _line(f"  color: {'gray' if gray else 'rgb'}", "rgb | bgr | gray")
    yield _line("  resize: stretch", "stretch | letterbox | center_crop")
    yield _line("  size: [224, 224]", "height, width")
    yield f"  mean: {[0] * channels}"
    yield f"  std: {[255] * channels}"
    yield _line("labels: []", "[you] one name a class, in the model's order, or a file with one a line")
