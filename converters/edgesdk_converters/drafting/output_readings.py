"""The rules by which a model's outputs are read: one function for each kind of output (pure)."""

from __future__ import annotations

from dataclasses import replace

from edgesdk_converters.drafting.reading import Facts, Reading, counted, reading
from edgesdk_converters.drafting.table_readings import read_table
from edgesdk_targets.tensor import DYNAMIC, TensorSpec

_IMAGENET_CLASSES = frozenset({1000, 1001, 11821, 21841, 21843})
_SOFTMAX_DETRS = ("detr", "yolos", "table-transformer", "table_transformer")
_EMBEDDING_WORDS = ("embed", "feature", "pooler", "last_hidden_state")
_CLASS_WORDS = ("logit", "prob", "class", "cls", "softmax", "score")


def read_outputs(facts: Facts) -> tuple[Reading, ...]:
    """Return every way in which the outputs can be read, the likeliest first."""
    for rule in (_torchvision, _boxes_and_scores, _named_vector, _table_or_steps, _map, _line):
        found = rule(facts)
        if found:
            return tuple(_with_known_steps(one, facts) for one in found)
    return ()


def _with_known_steps(one: Reading, facts: Facts) -> Reading:
    steps = facts.metadata.preprocess
    return replace(one, preprocess={**one.preprocess, **steps}) if steps else one


def _torchvision(facts: Facts) -> list[Reading]:
    lines = facts.of_rank(1)
    boxes = [spec for spec in facts.of_rank(2) if spec.shape[1] == 4]
    whole = [spec for spec in lines if spec.dtype in {"int64", "int32"}]
    if len(boxes) == 1 and len(lines) == 2 and len(whole) == 1:
        return [reading("torchvision")]
    return []


def _boxes_and_scores(facts: Facts) -> list[Reading]:
    threes = facts.of_rank(3)
    boxes = [spec for spec in threes if spec.shape[2] == 4]
    if len(boxes) > 1:
        boxes = [spec for spec in boxes if "box" in spec.name.lower()]
    if len(boxes) != 1:
        return []
    partners = [s for s in threes if s.name != boxes[0].name and s.shape[1] == boxes[0].shape[1]]
    named = [s for s in partners if any(word in s.name.lower() for word in ("logit", "score", "class", "conf"))]
    partners = named or partners
    if len(partners) != 1:
        return []
    if "logit" in partners[0].name.lower() or "pred_boxes" in boxes[0].name.lower():
        return _detr_family(partners[0].shape[2], facts)
    return _ssd_or_own(partners[0], facts)


def _detr_family(width: int, facts: Facts) -> list[Reading]:
    family = facts.metadata.family
    soft = reading("detr", f"{counted(width - 1)} and 'no object'", classes=width - 1)
    single = reading("rtdetr", counted(width), classes=width)
    if family:
        return [soft if family in _SOFTMAX_DETRS else single]
    if facts.names:
        return [soft] if facts.names == width - 1 else [single] if facts.names == width else [soft, single]
    # COCO: 91 numbers of which 80 are used; DETR adds "no object", RT-DETR counts 80.
    return [soft] if width == 92 else [single] if width == 80 else [soft, single]


def _ssd_or_own(scores: TensorSpec, facts: Facts) -> list[Reading]:
    width = scores.shape[2]
    pixels, fractions = ({"box_format": "xyxy", "box_units": units} for units in ("pixels", "unit"))
    own = reading("boxes_scores", counted(width), classes=width, postprocess=pixels)
    if width == 1:
        return [own]
    ssd = reading("ssd", f"{counted(width - 1)} and the background", classes=width - 1, postprocess=fractions)
    if facts.names in {width - 1, width}:
        return [ssd] if facts.names == width - 1 else [own]
    op = facts.made_by.get(scores.name, "")
    # A softmax makes the classes of a box compete, which needs the class "nothing" among them.
    return [ssd] if op == "Softmax" else [own] if op == "Sigmoid" else [ssd, own]


def _named_vector(facts: Facts) -> list[Reading]:
    """A feature extractor, told by the names that its exporter gives."""
    names = [spec.name.lower() for spec in facts.outputs if len(spec.shape) in {2, 3}]
    if any("logit" in name for name in names):
        return []
    for name in names:
        if any(word in name for word in _EMBEDDING_WORDS):
            return [reading("embed", f"its output is called {name!r}")]
    return []


def _table_or_steps(facts: Facts) -> list[Reading]:
    threes = facts.of_rank(3)
    if len(threes) != 1 or facts.of_rank(4):
        return []
    spec = threes[0]
    if spec.shape[0] != 1:
        steps = spec.shape[1] == 1
        return [_text(spec, "time first, as PyTorch's recurrent layers give it")] if steps else []
    table = read_table(spec, facts)
    wide = facts.size is not None and facts.size[1] >= 2 * facts.size[0]
    if any(not one.doubt for one in table) or not (wide or not table):
        return table
    text = _text(spec, "a class for each step along the picture")
    return [text, *table] if wide else [replace(text, doubt="a guess")]


def _text(spec: TensorSpec, why: str) -> Reading:
    return reading("text", f"CTC: {why}", classes=spec.shape[2])


def _map(facts: Facts) -> list[Reading]:
    maps = facts.of_rank(4)
    if len(maps) != 1 or len(facts.outputs) != 1:
        return []
    _, channels, height, width = maps[0].shape
    if height == width == 1 or DYNAMIC in {channels, height, width} or channels < 6:
        return []
    sixteenth = facts.size is not None and facts.size == (height * 16, width * 16)
    joined = facts.made_by.get(maps[0].name) == "Concat"
    doubt = "" if sixteenth and joined else "any map of numbers has this shape"
    classes = channels - 5
    return [reading("fastestdet", counted(classes), classes=classes, doubt=doubt)]


def _line(facts: Facts) -> list[Reading]:
    lines = [s for s in facts.outputs if len(s.shape) >= 2 and s.shape[0] == 1 and all(n == 1 for n in s.shape[2:])]
    if len(lines) > 1:
        lines = [s for s in lines if "logit" in s.name.lower()]
    if len(lines) != 1:
        return []
    spec = lines[0]
    width, op = spec.shape[1], facts.made_by.get(spec.name, "")
    # What a softmax or sigmoid made must not go through a second one.
    activation = "none" if op in {"Softmax", "Sigmoid"} else "softmax"
    classify = reading("classify", counted(width), classes=width, postprocess={"activation": activation})
    if facts.metadata.exporter == "ultralytics" and facts.metadata.task == "classify":
        crop = {"mean": [0, 0, 0], "std": [255, 255, 255], "crop_fraction": 1.0}
        return [replace(classify, why="Ultralytics' classifier", preprocess=crop)]
    told = facts.names == width > 1 or width in _IMAGENET_CLASSES or op == "Softmax"
    if not told and facts.recurrent:
        return [reading("text", "CTC, one step a frame", classes=width), classify]
    if told or (width > 1 and any(word in spec.name.lower() for word in _CLASS_WORDS)):
        return [classify]
    return [classify, reading("regress", f"{width} numbers"), reading("embed", f"a vector of {width}")]
