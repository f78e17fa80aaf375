"""What a model answers is told from shapes and metadata, or refused with the choices; it is never guessed silently."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgesdk_converters.drafting.exporter_metadata import read_metadata
from edgesdk_converters.drafting.recognise import Recognised, recognise, resolve
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec

COCO = str({i: f"class {i}" for i in range(80)})
Shapes = Mapping[str, tuple[int, ...]]


def look(
    outputs: Shapes,
    image: tuple[int, ...] = (1, 3, 640, 640),
    made_by: Mapping[str, str] | None = None,
    more_inputs: Shapes | None = None,
    whole: tuple[str, ...] = (),
    **metadata: str,
) -> Recognised:
    def spec(name: str, shape: tuple[int, ...]) -> TensorSpec:
        return TensorSpec(name=name, shape=shape, dtype="int64" if name in whole else "float32")

    inputs = [spec("images", image), *(spec(n, s) for n, s in (more_inputs or {}).items())]
    return recognise([spec(n, s) for n, s in outputs.items()], inputs, metadata, made_by)


@pytest.mark.parametrize(
    ("shape", "image", "metadata", "head", "classes"),
    [
        ((1, 84, 8400), (1, 3, 640, 640), {}, "yolov8", 80),
        ((1, 84, 8400), (1, 3, 640, 640), {"names": COCO}, "yolov8", 80),
        ((1, 84, -1), (1, 3, -1, -1), {}, "yolov8", 80),
        ((1, 84, 6300), (1, 3, 480, 640), {}, "yolov8", 80),
        ((1, 5, 8400), (1, 3, 640, 640), {}, "yolov8", 1),
        ((1, 84, 34000), (1, 3, 1280, 1280), {}, "yolov8", 80),  # with a grid of stride 64
        ((1, 25200, 85), (1, 3, 640, 640), {}, "yolov5", 80),
        ((1, 25200, 85), (1, 3, 640, 640), {"names": COCO, "stride": "32"}, "yolov5", 80),
        ((1, 25200, 6), (1, 3, 640, 640), {}, "yolov5", 1),
        ((1, 25200, 6), (1, 3, 640, 640), {"names": "['ball']"}, "yolov5", 1),
        ((1, 300, 6), (1, 3, 640, 640), {}, "end2end", None),
        ((1, 300, 6), (1, 3, 640, 640), {"names": COCO}, "end2end", 80),
        ((1, 300, 6), (1, 3, 640, 640), {"names": "{0: 'ball'}"}, "end2end", 1),
        ((1, -1, 6), (1, 3, 640, 640), {"names": "{0: 'a', 1: 'b'}"}, "end2end", 2),
        ((1, 6, 8400), (1, 3, 640, 640), {"names": "{0: 'a', 1: 'b'}"}, "yolov8", 2),
        ((1, 8400, 84), (1, 3, 640, 640), {"names": COCO}, "yolov8", 80),
        ((1, 8400, 85), (1, 3, 640, 640), {"names": COCO}, "yolov5", 80),
        ((1, 300, 84), (1, 3, 640, 640), {"names": COCO, "description": "Ultralytics rtdetr-l model"}, "yolov8", 80),
    ],
)
def test_one_table(
    shape: tuple[int, ...], image: tuple[int, ...], metadata: dict[str, str], head: str, classes: int | None
) -> None:
    reading = resolve(look({"output0": shape}, image, **metadata))
    assert (reading.name, reading.task, reading.classes) == (head, "detect", classes)
    assert reading.preset == "ultralytics"


@pytest.mark.parametrize(
    ("shape", "image", "metadata", "choices"),
    [
        ((1, 6, 8400), (1, 3, 640, 640), {}, {"yolov8", "yolov5", "end2end"}),
        ((1, 8400, 6), (1, 3, 640, 640), {}, {"yolov8", "yolov5", "end2end"}),
        ((1, 300, 6), (1, 3, -1, -1), {}, {"yolov8", "yolov5", "end2end"}),
        ((1, 25200, 6), (1, 3, -1, -1), {"names": "['ball']"}, {"yolov5", "end2end"}),
        ((1, 8400, 85), (1, 3, 640, 640), {}, {"yolov8", "yolov5"}),  # YOLOX's raw export looks like this
        ((1, 300, 84), (1, 3, 640, 640), {}, {"yolov8", "yolov5"}),
        ((1, 56, 8400), (1, 3, 640, 640), {}, {"yolov8"}),  # 17 keypoints
        ((1, 84, 8401), (1, 3, 640, 640), {}, {"yolov8"}),
        ((1, 90, 8400), (1, 3, 640, 640), {"names": COCO}, {"yolov8"}),
    ],
)
def test_ambiguous_tables_are_refused_with_the_choices(
    shape: tuple[int, ...], image: tuple[int, ...], metadata: dict[str, str], choices: set[str]
) -> None:
    found = look({"output0": shape}, image, **metadata)
    with pytest.raises(InputError) as caught:
        resolve(found)
    assert {reading.name for reading in found.readings} == choices
    for choice in choices:
        assert f"--head {choice}" in caught.value.message
        assert resolve(found, choice).name == choice
    assert "postprocess: {head: NAME}" in caught.value.hint
    assert str(list(shape)) in caught.value.message


@pytest.mark.parametrize(
    ("outputs", "made_by", "metadata", "head"),
    [
        ({"logits": (1, 100, 92), "pred_boxes": (1, 100, 4)}, {}, {}, "detr"),
        ({"logits": (-1, 100, 92), "pred_boxes": (-1, 100, 4)}, {}, {}, "detr"),
        (
            {"logits": (1, 100, 12), "pred_boxes": (1, 100, 4), "last_hidden_state": (1, 100, 256)},
            {},
            {"config.json": '{"model_type": "yolos"}'},
            "detr",
        ),
        ({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, {}, {}, "rtdetr"),
        (
            {"logits": (1, 300, 2), "pred_boxes": (1, 300, 4)},
            {},
            {"config.json": '{"model_type": "rt_detr_v2", "id2label": {"0": "a", "1": "b"}}'},
            "rtdetr",
        ),
        ({"logits": (1, 300, 4), "pred_boxes": (1, 300, 4)}, {}, {"names": "['a', 'b', 'c']"}, "detr"),
        ({"scores": (1, 4420, 2), "boxes": (1, 4420, 4)}, {"scores": "Softmax"}, {}, "ssd"),
        ({"scores": (1, 484, 80), "boxes": (1, 484, 4)}, {"scores": "Sigmoid"}, {}, "boxes_scores"),
        ({"scores": (1, 484, 1), "boxes": (1, 484, 4)}, {}, {}, "boxes_scores"),
        ({"a": (1, 484, 21), "b": (1, 484, 4)}, {"a": "Softmax"}, {}, "ssd"),
    ],
)
def test_boxes_and_scores(outputs: Shapes, made_by: dict[str, str], metadata: dict[str, str], head: str) -> None:
    assert resolve(look(outputs, made_by=made_by, **metadata)).name == head


@pytest.mark.parametrize(
    ("outputs", "choices"),
    [
        ({"scores": (1, 4420, 2), "boxes": (1, 4420, 4)}, ["ssd", "boxes_scores"]),
        ({"logits": (1, 300, 5), "pred_boxes": (1, 300, 4)}, ["detr", "rtdetr"]),
    ],
)
def test_boxes_and_scores_that_could_be_either(outputs: Shapes, choices: list[str]) -> None:
    found = look(outputs)
    assert [reading.name for reading in found.readings] == choices
    with pytest.raises(InputError, match="more than one way"):
        resolve(found)


def test_torchvision() -> None:
    for count in (-1, 100):
        outputs = {"boxes": (count, 4), "labels": (count,), "scores": (count,)}
        assert resolve(look(outputs, whole=("labels",))).name == "torchvision"
    masks = {"boxes": (-1, 4), "labels": (-1,), "scores": (-1,), "masks": (-1, 1, 640, 640)}
    assert resolve(look(masks, whole=("labels",))).name == "torchvision"


def test_fastestdet() -> None:
    found = look({"758": (1, 85, 22, 22)}, (1, 3, 352, 352), {"758": "Concat"})
    reading = resolve(found)
    assert (reading.name, reading.classes) == ("fastestdet", 80)
    assert reading.preprocess["color"] == "bgr"
    with pytest.raises(InputError, match="not certain"):
        resolve(look({"758": (1, 85, 22, 22)}, (1, 3, 352, 352)))


@pytest.mark.parametrize(
    ("outputs", "made_by", "metadata", "task"),
    [
        ({"output0": (1, 1000)}, {}, {}, "classify"),
        ({"output0": (-1, 1000)}, {}, {}, "classify"),
        ({"output0": (1, 3)}, {"output0": "Softmax"}, {}, "classify"),
        ({"logits": (1, 3)}, {}, {}, "classify"),
        ({"output0": (1, 2)}, {}, {"names": "['a', 'b']"}, "classify"),
        ({"image_embeds": (1, 512)}, {}, {}, "embed"),
        ({"last_hidden_state": (1, 197, 768), "pooler_output": (1, 768)}, {}, {}, "embed"),
    ],
)
def test_one_line(outputs: Shapes, made_by: dict[str, str], metadata: dict[str, str], task: str) -> None:
    reading = resolve(look(outputs, (1, 3, 224, 224), made_by, **metadata))
    assert (reading.name, reading.task) == (task, task)


def test_a_softmax_inside_is_not_applied_again() -> None:
    inside = resolve(look({"output0": (1, 3)}, made_by={"output0": "Softmax"}))
    outside = resolve(look({"output0": (1, 1000)}))
    assert inside.postprocess["activation"] == "none"
    assert outside.postprocess["activation"] == "softmax"


def test_a_line_of_numbers_could_be_anything() -> None:
    with pytest.raises(InputError) as caught:
        resolve(look({"output0": (1, 7)}))
    assert all(f"--head {task}" in caught.value.message for task in ("classify", "regress", "embed"))
    assert resolve(look({"output0": (1, 7)}), "regress").task == "regress"


@pytest.mark.parametrize("shape", [(1, 33, 66), (33, 1, 66)])
def test_text(shape: tuple[int, ...]) -> None:
    reading = resolve(look({"output": shape}, (1, 1, 32, 128)))
    assert (reading.task, reading.classes) == ("text", 66)


def test_the_callers_word_goes_first_where_it_fits() -> None:
    found = look({"output0": (1, 84, 8400)})
    assert resolve(found, "yolov5").name == "yolov5"
    with pytest.raises(InputError, match="Head 'detr' expects logits"):
        resolve(found, "detr")
    with pytest.raises(InputError, match="no head 'yolo'"):
        resolve(found, "yolo")


@pytest.mark.parametrize(("task", "says"), [("segment", "masks"), ("pose", "keypoints"), ("obb", "rotated boxes")])
def test_tasks_without_a_result_are_refused(task: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        look({"output0": (1, 116, 8400)}, names=COCO, task=task)


def test_outputs_of_no_known_kind() -> None:
    with pytest.raises(InputError, match="not recognised") as caught:
        resolve(look({"output0": (1, 116, 8400), "output1": (1, 32, 160, 160)}))
    assert "model card" in caught.value.hint


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ((3, 640, 640), "without a batch dimension"),
        ((8, 3, 640, 640), "8 pictures at once"),
        ((1, 4, 640, 640), "4 channels"),
        ((1, 512), "no single image input"),
    ],
)
def test_inputs_that_no_camera_fills(image: tuple[int, ...], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        look({"output0": (1, 1000)}, image)
    assert caught.value.hint


def test_layout_and_open_sizes() -> None:
    nchw = look({"output0": (1, 1000)}, (-1, 3, -1, -1), imgsz="[384, 640]", stride="32")
    assert (nchw.image.layout, nchw.image.shape, nchw.size) == ("NCHW", (1, 3, -1, -1), (384, 640))
    nhwc = look({"output0": (1, 1000)}, (1, 224, 192, 3))
    assert (nhwc.image.layout, nhwc.size) == ("NHWC", (224, 192))


def test_state_goes_out_and_comes_in() -> None:
    found = look(
        {"logits": (1, 11), "h_out": (1, 64), "c_out": (1, 64)},
        (1, 1, 32, 8),
        more_inputs={"h": (1, 64), "c": (1, 64)},
    )
    assert [(pair.input.name, pair.output.name) for pair in found.states] == [("h", "h_out"), ("c", "c_out")]
    assert [spec.name for spec in found.outputs] == ["logits"]


def test_a_further_input_without_its_output() -> None:
    with pytest.raises(InputError, match="'pixel_mask'") as caught:
        look({"logits": (1, 100, 92), "pred_boxes": (1, 100, 4)}, more_inputs={"pixel_mask": (1, 640, 640)})
    assert "constant of ones" in caught.value.hint


def test_hugging_faces_steps_become_ours() -> None:
    processor = """{"do_resize": true, "size": {"shortest_edge": 256}, "do_center_crop": true,
        "crop_size": {"height": 224, "width": 224}, "do_rescale": true, "rescale_factor": 0.00392156862745098,
        "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"""
    known = read_metadata({"config.json": '{"id2label": {"0": "LABEL_0"}}', "preprocessor_config.json": processor})
    assert known.names == ()
    assert known.size == (224, 224)
    assert known.preprocess["mean"] == [127.5] * 3
    assert known.preprocess["resize"] == "center_crop"
    assert known.preprocess["crop_fraction"] == 0.875


@pytest.mark.parametrize(
    "names",
    [
        "__import__('os').system('true')",
        "{0: 'a', 2: 'c'}",
        "{'x': 'a'}",
        "[" * 5000,
        "(" * 200 + ")" * 200,
        "{0: 'a\\nb'}",
        "['']",
        f"['{'x' * 300}']",
        "9" * 5000,
        "{0: [1]",
        "['a'] * 9",
        "[" + "'a'," * 300_000 + "]",
        "{0: 'a', None: 'b'}",
    ],
)
def test_hostile_names_count_as_absent(names: str) -> None:
    assert read_metadata({"names": names, "stride": "32"}).names == ()


TEXT = st.text("a0{}[]():',\"\\ ", max_size=20)
KEYS = ["names", "imgsz", "stride", "task", "config.json", "preprocessor_config.json"]
VALUES = st.recursive(
    st.none() | st.integers() | TEXT, lambda x: st.lists(x, max_size=3) | st.dictionaries(TEXT, x, max_size=3)
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), TEXT | VALUES.map(str) | VALUES.map(json.dumps)))
def test_metadata_never_raise(raw: dict[str, str]) -> None:
    read_metadata(raw)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1, 1, 2, 4, 5, 6, 84, 300, 8400]), min_size=1, max_size=4), max_size=4))
def test_any_shapes_are_read_or_refused(shapes: list[list[int]]) -> None:
    """Whatever comes: a reading whose head can be bound, or an InputError."""
    assume(all(math.prod(map(abs, shape)) < 1 << 30 for shape in shapes))
    found = look({f"o{i}": tuple(shape) for i, shape in enumerate(shapes)})
    try:
        reading = resolve(found)
    except InputError:
        return
    if reading.task == "detect":
        assert resolve(found, reading.name).name == reading.name
