"""What exporters write beside the weights: class names, size, task, normalisation.

It comes with somebody's file, so it is data to be checked: bounded in size, parsed as literals, never evaluated; what
is malformed counts as absent.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MAX_CHARACTERS = 1 << 20
_MAX_NAMES = 50_000
_MAX_NAME = 256
_MAX_SIDE = 16384


@dataclass(frozen=True, slots=True)
class ExporterMetadata:
    """What a model file, or the configuration beside it, says of itself.

    Attributes:
        exporter: "ultralytics", "hugging-face" or "".
        names: one label a class, in the model's order; empty where they are not told.
        size: height, width of the input, pixels.
        task: the exporter's own word.
        family: the exporter's own name of the model (`rtdetr-l`, `rt_detr`, `vit`), lower case.
        preprocess: fields of a card's `preprocess` that are known for certain.
    """

    exporter: str = ""
    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    task: str = ""
    family: str = ""
    preprocess: Mapping[str, Any] = field(default_factory=dict)


def read_metadata(raw: Mapping[str, str]) -> ExporterMetadata:
    """Read an ONNX file's properties, and Hugging Face's `config.json` and `preprocessor_config.json`.

    Args:
        raw: properties by key; the two files' texts under their names.
    """
    if "config.json" in raw or "preprocessor_config.json" in raw:
        return _hugging_face(_json(raw.get("config.json")), _json(raw.get("preprocessor_config.json")))
    names = _names(_literal(raw.get("names")))
    if not names and "stride" not in raw:
        return ExporterMetadata()
    return ExporterMetadata(
        exporter="ultralytics",
        names=names,
        size=_size(_literal(raw.get("imgsz"))),
        task=raw.get("task", "")[:32],
        family=raw.get("description", "").lower()[:200],
    )


def _literal(text: str | None) -> Any:
    if text is None or len(text) > _MAX_CHARACTERS:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _json(text: str | None) -> dict[str, Any]:
    if text is None or len(text) > _MAX_CHARACTERS:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _names(value: Any) -> tuple[str, ...]:
    """Read `{0: 'person', …}`, with numbers or their text as keys, or a list."""
    if isinstance(value, dict):
        try:
            by_number = {int(key): name for key, name in value.items()}
        except (TypeError, ValueError):
            return ()
        if sorted(by_number) != list(range(len(by_number))):
            return ()
        value = [by_number[i] for i in range(len(by_number))]
    if not isinstance(value, (list, tuple)) or len(value) > _MAX_NAMES:
        return ()
    texts = [str(name) for name in value]
    sound = all(0 < len(text) <= _MAX_NAME and text.isprintable() for text in texts)
    return tuple(texts) if sound else ()


def _size(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        value = (value, value)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    height, width = value
    if not all(isinstance(side, int) and 1 <= side <= _MAX_SIDE for side in (height, width)):
        return None
    return height, width


def _hugging_face(config: dict[str, Any], processor: dict[str, Any]) -> ExporterMetadata:
    names = _names(config.get("id2label"))
    # Transformers fills in LABEL_0, LABEL_1… where nobody named the classes.
    if all(name == f"LABEL_{i}" for i, name in enumerate(names)):
        names = ()
    size = _processor_size(processor) or _size(config.get("image_size"))
    family = str(config.get("model_type", "")).lower()[:64]
    return ExporterMetadata("hugging-face", names, size, "", family, _processor_steps(processor))


def _processor_size(processor: dict[str, Any]) -> tuple[int, int] | None:
    for key in ("crop_size", "size") if processor.get("do_center_crop") else ("size",):
        size = processor.get(key)
        if isinstance(size, dict) and "height" in size:
            return _size((size.get("height"), size.get("width")))
        if isinstance(size, int):
            return _size(size)
    return None


def _processor_steps(processor: dict[str, Any]) -> dict[str, Any]:
    """Translate an image processor's settings into fields of a card's `preprocess`."""
    if not processor:
        return {}
    factor = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    mean, std = [0.0] * 3, [1.0] * 3
    if processor.get("do_normalize", False):
        mean, std = processor.get("image_mean", mean), processor.get("image_std", std)
    if not (_is_number(factor) and factor > 0 and _three_numbers(mean) and _three_numbers(std) and all(std)):
        return {}
    # Theirs is (pixel * factor - mean) / std; ours is (pixel - mean) / std.
    steps: dict[str, Any] = {
        "color": "rgb",
        "resize": "stretch",
        "mean": [round(m / factor, 4) for m in mean],
        "std": [round(s / factor, 4) for s in std],
    }
    if processor.get("do_center_crop"):
        steps["resize"] = "center_crop"
        steps["crop_fraction"] = _crop_fraction(processor)
    return steps


def _crop_fraction(processor: dict[str, Any]) -> float:
    size, crop = processor.get("size"), processor.get("crop_size")
    short = size.get("shortest_edge") if isinstance(size, dict) else size
    side = crop.get("height") if isinstance(crop, dict) else crop
    if isinstance(short, int) and isinstance(side, int) and 0 < side <= short:
        return round(side / short, 4)
    return 1.0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _three_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(_is_number(v) for v in value)
