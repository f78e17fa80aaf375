"""Each head finds the objects that its layout holds, at the place in the picture where they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.heads.registry import HEADS
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.geometry import Geometry, place
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array, TensorSpec

LABELS = ("cat", "dog", "owl")
SIZE = (64, 96)  # height, width of the input
PICTURE = (480, 640)
# Class, score, corners in input pixels. The second overlaps the first and is of its class.
OBJECTS = ((2, 0.9, (10, 12, 40, 44)), (2, 0.6, (11, 13, 41, 45)), (0, 0.7, (50, 8, 80, 28)))
BOXES, UNIT = 90, np.asarray((96, 64, 96, 64), np.float32)


GEOMETRY: Geometry = place(Preprocess(resize="letterbox", size=SIZE), PICTURE).geometry


def centred(box: tuple[float, ...]) -> Array:
    x1, y1, x2, y2 = box
    return np.asarray(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), np.float32)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def yolov8() -> dict[str, Array]:
    table = np.zeros((1, 4 + 3, BOXES), np.float32)
    for column, (class_id, score, box) in enumerate(OBJECTS):
        table[0, :4, column], table[0, 4 + class_id, column] = centred(box), score
    return {"output0": table}


def yolov5() -> dict[str, Array]:
    table = np.zeros((1, BOXES, 5 + 3), np.float32)
    for row, (class_id, score, box) in enumerate(OBJECTS):
        table[0, row, :4], table[0, row, 4], table[0, row, 5 + class_id] = centred(box), 0.95, score / 0.95
    table[0, 50, 4:] = (0.1, 1, 1, 1)  # a sure class of no object
    table[0, 51, 4:] = (1, 0.1, 0.1, 0.1)  # a sure object of no class
    return {"output0": table}


def end2end() -> dict[str, Array]:
    table = np.zeros((1, BOXES, 6), np.float32)
    for row, (class_id, score, box) in enumerate(OBJECTS):
        table[0, row] = (*box, score, class_id)
    return {"output0": table}


def boxes_scores() -> dict[str, Array]:
    boxes, scores = np.zeros((1, BOXES, 4), np.float32), np.zeros((1, BOXES, 3), np.float32)
    for row, (class_id, score, box) in enumerate(OBJECTS):
        boxes[0, row], scores[0, row, class_id] = box, score
    return {"boxes": boxes, "scores": scores}


def ssd() -> dict[str, Array]:
    plain = boxes_scores()
    scores = np.concatenate([1 - plain["scores"].max(axis=2, keepdims=True), plain["scores"]], axis=2)
    return {"scores": scores, "boxes": plain["boxes"] / UNIT}


def detr() -> dict[str, Array]:
    boxes, logits = np.full((1, BOXES, 4), 0.5, np.float32), np.zeros((1, BOXES, 4), np.float32)
    logits[..., 3] = 9
    for row, (class_id, score, box) in enumerate(OBJECTS):
        boxes[0, row] = centred(box) / UNIT
        logits[0, row] = math.log((1 - score) / 3)
        logits[0, row, class_id] = math.log(score)
    return {"logits": logits, "pred_boxes": boxes}


def rtdetr() -> dict[str, Array]:
    boxes, logits = np.full((1, BOXES, 4), 0.5, np.float32), np.full((1, BOXES, 3), -9, np.float32)
    for row, (class_id, score, box) in enumerate(OBJECTS):
        boxes[0, row], logits[0, row, class_id] = centred(box) / UNIT, logit(score)
    return {"logits": logits, "pred_boxes": boxes}


def torchvision() -> dict[str, Array]:
    return {
        "boxes": np.asarray([box for _, _, box in OBJECTS], np.float32),
        "labels": np.asarray([class_id + 1 for class_id, _, _ in OBJECTS]),
        "scores": np.asarray([score for _, score, _ in OBJECTS], np.float32),
    }


def fastestdet() -> dict[str, Array]:
    rows, columns = 4, 6
    cells = np.zeros((1, 5 + 3, rows, columns), np.float32)
    places = ((1, 1), (2, 2), (1, 4))
    for (gy, gx), (class_id, score, box) in zip(places, OBJECTS, strict=True):
        cx, cy, width, height = centred(box) / UNIT
        cells[0, 1:5, gy, gx] = (
            math.atanh(cx * columns - gx), math.atanh(cy * rows - gy), logit(width), logit(height),
        )  # fmt: skip
        # A class of one, so that the score is objectness^0.6.
        cells[0, 0, gy, gx], cells[0, 5 + class_id, gy, gx] = score ** (1 / 0.6), 1.0
    return {"758": cells}


LAYOUTS = {f.__name__: f for f in (yolov8, yolov5, end2end, boxes_scores, ssd, detr, rtdetr, torchvision, fastestdet)}


def specs(outputs: Mapping[str, Array]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=name, shape=a.shape, dtype=str(a.dtype)) for name, a in outputs.items())


def decode(head: str | None, arrays: Mapping[str, Array], labels: tuple[str, ...] = LABELS, **post: Any) -> Detections:
    decoder = Decoder("detect", Postprocess(head=head, **post), labels, specs(arrays), SIZE)
    result = decoder(arrays, GEOMETRY)
    assert isinstance(result, Detections)
    return result


def test_every_head_is_tried() -> None:
    assert set(LAYOUTS) == set(HEADS)
    assert all(head.about and head.expects for head in HEADS.values())


@pytest.mark.parametrize("head", LAYOUTS)
def test_finds_what_is_there(head: str) -> None:
    found = decode(head, LAYOUTS[head]())
    expected = [objekt for i, objekt in enumerate(OBJECTS) if not (HEADS[head].overlaps and i == 1)]
    expected.sort(key=lambda objekt: -objekt[1])
    assert found.class_ids.tolist() == [class_id for class_id, _, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], rtol=1e-4)
    # 640x480 in a letterbox of 96x64 is 85x64, with five columns of border on the left.
    boxes = [
        ((x1 - 5) * 640 / 85, y1 * 480 / 64, (x2 - 5) * 640 / 85, y2 * 480 / 64) for _, _, (x1, y1, x2, y2) in expected
    ]
    np.testing.assert_allclose(found.boxes, boxes, atol=0.01)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.class_ids.dtype == np.int64
    assert found.label(0) == "owl"


@pytest.mark.parametrize("head", LAYOUTS)
def test_the_threshold_is_kept(head: str) -> None:
    outputs = LAYOUTS[head]()
    assert decode(head, outputs, score_threshold=0.8).scores.tolist() == pytest.approx([0.9], rel=1e-4)
    nothing = decode(head, outputs, score_threshold=0.95)
    assert len(nothing) == 0
    assert nothing.boxes.shape == (0, 4)
    assert len(decode(head, outputs, score_threshold=0.0, max_detections=2)) == 2


@pytest.mark.parametrize("head", LAYOUTS)
def test_results_keep_nothing_of_the_runtimes_memory(head: str) -> None:
    outputs = LAYOUTS[head]()
    found = decode(head, outputs)
    before = found.boxes.copy(), found.scores.copy(), found.class_ids.copy()
    for array in outputs.values():
        array[...] = 0
    for was, now in zip(before, (found.boxes, found.scores, found.class_ids), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("head", LAYOUTS)
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_no_objects(head: str, poison: float) -> None:
    """Half precision that overflows must not put NaN into a message; and it warns of nothing (warnings are errors)."""
    outputs = {name: array.copy() for name, array in LAYOUTS[head]().items()}
    for array in outputs.values():
        if array.dtype == np.float32:
            array.reshape(-1)[::7] = poison
    found = decode(head, outputs)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("head", LAYOUTS)
def test_half_precision_outputs(head: str) -> None:
    outputs = {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in LAYOUTS[head]().items()}
    found = decode(head, outputs)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.class_ids.tolist()[0] == 2
    np.testing.assert_allclose(found.boxes, decode(head, LAYOUTS[head]()).boxes, atol=3)


@pytest.mark.parametrize("head", ["yolov8", "yolov5", "end2end"])
@pytest.mark.parametrize("labels", [LABELS, ()])
def test_a_table_that_a_tool_has_turned(head: str, labels: tuple[str, ...]) -> None:
    plain = LAYOUTS[head]()
    turned = {"output0": np.ascontiguousarray(plain["output0"].transpose(0, 2, 1))}
    np.testing.assert_allclose(decode(head, turned, labels).boxes, decode(head, plain, labels).boxes)


@pytest.mark.parametrize("count", [2, 7])
def test_labels_say_which_way_a_small_table_lies(count: int) -> None:
    """As many boxes as numbers, or fewer."""
    table = np.zeros((1, 7, count), np.float32)
    table[0, :, 1] = (*centred((10, 12, 40, 44)), 0, 0, 0.9)
    assert decode("yolov8", {"x": table}).class_ids.tolist() == [2]


@pytest.mark.parametrize(
    ("head", "labels", "classes"),
    [
        ("ssd", (), [3, 1]),
        ("ssd", LABELS, [2, 0]),
        ("ssd", ("background", *LABELS), [3, 1]),
        ("torchvision", (), [3, 3, 1]),
        ("torchvision", LABELS, [2, 2, 0]),
        ("torchvision", ("__background__", *LABELS), [3, 3, 1]),
    ],
)
def test_the_background_has_a_label_or_not(head: str, labels: tuple[str, ...], classes: list[int]) -> None:
    found = decode(head, LAYOUTS[head](), labels)
    assert sorted(found.class_ids.tolist()) == sorted(classes)
    if labels:
        assert found.label(0) == "owl"


def test_torchvision_may_number_from_zero() -> None:
    found = decode("torchvision", {**torchvision(), "labels": np.asarray([2, 2, 0])}, background="none")
    assert found.label(0) == "owl"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_torchvision_with_any_number_of_boxes(count: int) -> None:
    """Its outputs are as long as the picture has objects."""
    outputs = {name: array[:count] for name, array in torchvision().items()}
    open_specs = tuple(
        TensorSpec(name=name, shape=(-1, *array.shape[1:]), dtype=str(array.dtype)) for name, array in outputs.items()
    )
    decoder = Decoder("detect", Postprocess(head="torchvision"), LABELS, open_specs, SIZE)
    assert len(decoder(outputs, GEOMETRY)) == count  # type: ignore[arg-type]


def test_outputs_that_names_and_shapes_do_not_tell() -> None:
    """Four classes: boxes and scores have one shape."""
    boxes, scores = boxes_scores()["boxes"], np.zeros((1, BOXES, 4), np.float32)
    scores[0, :3, :3] = boxes_scores()["scores"][0, :3]
    outputs = {"1042": scores, "1043": boxes}
    labels = (*LABELS, "fox")
    with pytest.raises(InputError, match="'1042'"):
        decode(None, outputs, labels)
    found = decode(None, outputs, labels, outputs={"boxes": "1043"})
    assert found.label(0) == "owl"


def test_the_card_may_change_how_boxes_are_written() -> None:
    outputs = boxes_scores()
    outputs["boxes"] = np.stack([centred(tuple(box)) for box in outputs["boxes"][0]])[None] / UNIT
    found = decode(None, outputs, box_format="cxcywh", box_units="unit")
    np.testing.assert_allclose(found.boxes, decode(None, boxes_scores()).boxes, atol=0.01)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_raw_scores(activation: str) -> None:
    outputs = boxes_scores()
    probabilities = np.clip(outputs["scores"], 0.02, None)
    raw = np.log(probabilities / (1 - probabilities)) if activation == "sigmoid" else np.log(probabilities)
    found = decode(None, {**outputs, "scores": raw}, activation=activation, score_threshold=0.5)
    assert found.label(0) == "owl"
    wanted = 0.9 if activation == "sigmoid" else 0.9 / 0.94
    assert found.scores[0] == pytest.approx(wanted, rel=1e-4)


def test_a_box_in_the_border_is_no_object() -> None:
    outputs = boxes_scores()
    outputs["boxes"][0, 2] = (0, 0, 4, 64)  # left of the picture, in the letterbox
    assert decode(None, outputs).class_ids.tolist() == [2]


def test_fractions_need_a_size() -> None:
    with pytest.raises(InputError, match="fractions of the input"):
        Decoder("detect", Postprocess(head="ssd"), LABELS, specs(ssd()), None)


@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        ("yolov8", {"x": (1, 84, 22, 22)}),
        ("yolov8", {"x": (1, 4, 100)}),
        ("yolov5", {"x": (1, 5, 5)}),
        ("end2end", {"x": (1, 300, 7)}),
        ("detr", {"logits": (1, 100, 92)}),
        ("detr", {"logits": (1, 100, 92), "pred_boxes": (1, 99, 4)}),
        ("ssd", {"boxes": (1, 100, 4), "scores": (1, 100, 1)}),
        ("torchvision", {"boxes": (5, 4), "labels": (5,)}),
        ("fastestdet", {"x": (1, 5, 22, 22)}),
        ("boxes_scores", {"boxes": (2, 100, 4), "scores": (2, 100, 3)}),
    ],
)
def test_outputs_of_another_layout_are_refused(head: str, outputs: dict[str, tuple[int, ...]]) -> None:
    given = tuple(TensorSpec(name=name, shape=shape) for name, shape in outputs.items())
    with pytest.raises(InputError) as caught:
        Decoder("detect", Postprocess(head=head), (), given, SIZE)
    assert head in caught.value.message
    assert HEADS[head].expects in caught.value.message


def test_a_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(InputError, match="2 labels, but the model has 3 classes"):
        Decoder("detect", Postprocess(head="yolov8"), ("a", "b"), specs(yolov8()), SIZE)


def test_fastestdet_equals_its_formula_cell_by_cell() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(0, 1, (1, 8, 5, 7)).astype(np.float32)
    cells[0, 0] = rng.random((5, 7))
    cells[0, 5:] = rng.random((3, 5, 7))
    outputs = {"x": cells}
    decoder = Decoder(
        "detect", Postprocess(head="fastestdet", score_threshold=0.3, iou_threshold=1.0), (), specs(outputs), SIZE
    )
    found = decoder(outputs, None)
    assert isinstance(found, Detections)
    expected = []
    for gy, gx in itertools.product(range(5), range(7)):
        obj, r0, r1, r2, r3, *classes = cells[0, :, gy, gx].tolist()
        score = obj**0.6 * max(classes) ** 0.4
        if score >= 0.3:
            cx, cy = (math.tanh(r0) + gx) / 7 * 96, (math.tanh(r1) + gy) / 5 * 64
            w, h = 96 / (1 + math.exp(-r2)), 64 / (1 + math.exp(-r3))
            expected.append((score, classes.index(max(classes)), cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
    expected.sort(reverse=True)
    assert len(expected) > 10
    got = [
        (float(s), int(c), *map(float, b)) for s, c, b in zip(found.scores, found.class_ids, found.boxes, strict=True)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)
