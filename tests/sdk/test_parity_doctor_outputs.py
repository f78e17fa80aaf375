"""What the parity doctor says of outputs: activations, labels, boxes, axes; alone and in pairs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from edgesdk.parity_doctor.diagnosis import Diagnosis
from edgesdk.parity_doctor.examine_outputs import examine_outputs
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.decode.activation import sigmoid, softmax
from edgesdk_targets.decode.postprocess import Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_testkit.tiny_bundles import tiny_manifest, tiny_variant
from edgesdk_testkit.tiny_models import CNN

HEIGHT, WIDTH, BOXES, CLASSES = 64, 96, 50, 6
RANDOM = np.random.default_rng(5)
LOGITS = RANDOM.normal(0, 3, (1, 10))
LABELS = tuple("abcdefghij")


def manifest_of(task: str, outputs: dict[str, Array], labels: tuple[str, ...], **post: Any) -> Manifest:
    specs = tuple(TensorSpec(name=name, shape=value.shape) for name, value in outputs.items())
    variant, _ = tiny_variant(CNN, "generic-onnx", Runtime.ONNXRUNTIME)
    spec = Preprocess(color="rgb", size=(HEIGHT, WIDTH))
    return tiny_manifest(
        CNN, [variant.model_copy(update={"outputs": specs})], outputs=specs, task=task, labels=labels, preprocess=spec,
        postprocess=Postprocess(**post),
    )  # fmt: skip


def examine(manifest: Manifest, own: dict[str, Array], given: Array, name: str = "") -> Diagnosis:
    noisy = given * (1 + 0.002 * np.random.default_rng(1).standard_normal(given.shape))
    return examine_outputs(manifest, {name: noisy.astype(np.float32)}, {"your tensor": own})[0]


def names(found: Diagnosis) -> list[str]:
    return [m.name + (f":{m.found}" if m.found else "") for m in found.mistakes]


def background(values: Array) -> Array:
    return np.concatenate([np.full_like(values[..., :1], 1e-3), values], axis=-1)


LOGIT_CASES: dict[str, Callable[[Array], Array]] = {
    "softmax_applied": softmax,
    "softmax_twice": lambda y: softmax(softmax(y)),
    "wrong_activation:sigmoid": sigmoid,
    "label_offset:+1": lambda y: np.roll(y, 1, -1),
    "label_offset:-1": lambda y: np.roll(y, -1, -1),
    "background_added:beginning": background,
    "background_dropped:first": lambda y: y[..., 1:],
    "background_dropped:last": lambda y: y[..., :-1],
}
PROBABILITY_CASES: dict[str, Callable[[Array], Array]] = {
    "softmax_missing": lambda y: np.log(y) + 3.0,
    "softmax_twice": softmax,
    "sigmoid_twice": sigmoid,
    "sigmoid_missing": lambda y: np.log(y / (1 - y)),
    "label_offset:+1": lambda y: np.roll(y, 1, -1),
    "background_added:beginning": background,
}


@pytest.mark.parametrize("case", LOGIT_CASES)
def test_a_classifier_of_logits(case: str) -> None:
    manifest = manifest_of("classify", {"logits": LOGITS}, LABELS)
    assert names(examine(manifest, {"logits": LOGITS}, LOGIT_CASES[case](LOGITS))) == [case]


@pytest.mark.parametrize("case", PROBABILITY_CASES)
def test_a_classifier_of_probabilities(case: str) -> None:
    own = {"probabilities": softmax(LOGITS)}
    manifest = manifest_of("classify", own, LABELS)
    assert names(examine(manifest, own, PROBABILITY_CASES[case](softmax(LOGITS)))) == [case]


def test_right_outputs_match_and_say_what_is_left_to_do() -> None:
    manifest = manifest_of("classify", {"logits": LOGITS}, LABELS)
    found = examine(manifest, {"logits": LOGITS}, LOGITS)
    assert found.verdict == "matches"
    assert "apply softmax" in found.notes[1]
    assert examine(manifest, {"logits": LOGITS}, LOGITS[0]).verdict == "matches", "without the batch"


@pytest.mark.parametrize("seed", range(5))
def test_other_outputs_are_not_explained(seed: int) -> None:
    own = {"logits": LOGITS}
    other = np.random.default_rng(100 + seed).normal(0, 3, LOGITS.shape)
    for given in (other, softmax(other), np.zeros_like(other), np.zeros((1, 55))):
        assert examine(manifest_of("classify", own, LABELS), own, given).verdict == "not explained"


def test_a_shape_that_fits_no_output_is_told_with_what_to_do() -> None:
    own = {"logits": LOGITS}
    manifest = manifest_of("classify", own, LABELS)
    for name, says in (
        ("", "does not fit any output of the bundle's (logits [1, 10])"),
        ("logits", "the bundle's logits"),
    ):
        found = examine(manifest, own, np.ones((1, 55)), name)
        assert (found.verdict, found.before_db) == ("not explained", None)
        assert found.notes[0].startswith("Its shape [1, 55] does")
        assert says in found.notes[0]
        assert "numpy.savez(path, logits=…)" in found.notes[0]
    # Control: of the right shape, there is nothing to say of shapes.
    assert "shape" not in examine(manifest, own, np.random.default_rng(9).normal(0, 3, LOGITS.shape)).notes[0]


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no output 'scores'"):
        examine(manifest_of("classify", {"logits": LOGITS}, LABELS), {"logits": LOGITS}, LOGITS, "scores")


def detector() -> tuple[Array, Array]:
    """Return boxes (1, N, 4) as corners in pixels, and scores (1, N, C)."""
    first = RANDOM.uniform(0, (WIDTH / 2, HEIGHT / 2), (1, BOXES, 2))
    boxes = np.concatenate([first, first + RANDOM.uniform(4, (WIDTH / 2, HEIGHT / 2), (1, BOXES, 2))], axis=-1)
    return boxes, sigmoid(RANDOM.normal(-2, 3, (1, BOXES, CLASSES)))


def centred(boxes: Array) -> Array:
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)


BOX_CASES: dict[str, Callable[[Array], Array]] = {
    "box_format:cxcywh": centred,
    "box_format:xywh (corner and size)": lambda b: np.concatenate([b[..., :2], b[..., 2:] - b[..., :2]], axis=-1),
    "box_format:yxyx": lambda b: b[..., [1, 0, 3, 2]],
    "box_units:fractions": lambda b: b / (WIDTH, HEIGHT, WIDTH, HEIGHT),
    "outputs_transposed": lambda b: b.swapaxes(1, 2),
}


@pytest.mark.parametrize("case", BOX_CASES)
def test_boxes(case: str) -> None:
    boxes, scores = detector()
    own = {"boxes": boxes, "scores": scores}
    manifest = manifest_of_two(own)
    assert names(examine(manifest, own, BOX_CASES[case](boxes), "boxes")) == [case]
    assert names(examine(manifest, own, BOX_CASES[case](boxes))) == [case], "found without its name"


def manifest_of_two(own: dict[str, Array], **post: Any) -> Manifest:
    return manifest_of("detect", own, tuple("abcdef"), **post)


TABLE_CASES: dict[str, Callable[[Array], Array]] = {
    "box_format:xyxy": lambda t: np.concatenate([corners(t[:, :4]), t[:, 4:]], axis=1),
    "box_units:fractions": lambda t: t / np.r_[WIDTH, HEIGHT, WIDTH, HEIGHT, [1] * CLASSES][None, :, None],
    "sigmoid_missing": lambda t: np.concatenate([t[:, :4], np.log(t[:, 4:] / (1 - t[:, 4:]))], axis=1),
    "sigmoid_twice": lambda t: np.concatenate([t[:, :4], sigmoid(t[:, 4:])], axis=1),
    "label_offset:+1": lambda t: np.concatenate([t[:, :4], np.roll(t[:, 4:], 1, axis=1)], axis=1),
    "outputs_transposed": lambda t: t.swapaxes(1, 2),
}


def corners(rows: Array) -> Array:
    return np.concatenate([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2], axis=1)


def test_a_table_of_boxes_and_scores_alone_and_in_pairs() -> None:
    boxes, scores = detector()
    table = np.concatenate([centred(boxes), scores], axis=-1).swapaxes(1, 2)
    own = {"output0": table}
    manifest = manifest_of_two(own, head="yolov8")
    cases = [(case,) for case in TABLE_CASES] + list(combinations(TABLE_CASES, 2))
    # Two forms of one activation make a third, and fractions of corners are made from corners in pixels.
    cases = [c for c in cases if not all(name.startswith("sigmoid") for name in c) or len(c) == 1]
    wrong = []
    for case in cases:
        given = table
        for name in case:
            given = TABLE_CASES[name](given)
        found = sorted(names(examine(manifest, own, given)))
        if found != sorted(case):
            wrong.append((case, found))
    assert not [c for c, _ in wrong if len(c) == 1], wrong
    assert len(wrong) <= 0.2 * len(cases), wrong


def test_the_tensor_that_fits_is_told() -> None:
    manifest = manifest_of("classify", {"logits": LOGITS}, LABELS)
    answers = {"your tensor": {"logits": -LOGITS}, "the picture": {"logits": LOGITS}}
    found = examine_outputs(manifest, {"": softmax(LOGITS)}, answers)[0]
    assert names(found) == ["softmax_applied"]
    assert "answer to the picture" in found.notes[0]
