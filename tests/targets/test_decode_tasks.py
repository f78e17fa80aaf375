"""Classification, embedding, regression; and what the decoder refuses before the first frame."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from edgesdk_targets.decode.decoder import Decoder
from edgesdk_targets.decode.postprocess import Activation, Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification, Embedding, Regression
from edgesdk_targets.tensor import TensorSpec

LABELS = ("cat", "dog", "owl")
LOGITS = np.asarray([[1.0, 3.0, 2.0]], np.float32)


def line(name: str, *shape: int) -> tuple[TensorSpec, ...]:
    return (TensorSpec(name=name, shape=shape),)


def test_classes_come_best_first() -> None:
    result = Decoder("classify", Postprocess(top_k=2), LABELS, line("logits", 1, 3), None)({"logits": LOGITS}, None)
    assert isinstance(result, Classification)
    assert result.class_ids.tolist() == [1, 2]
    assert result.label == "dog"
    expected = np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum()
    np.testing.assert_allclose(result.scores, expected[[1, 2]], rtol=1e-6)
    assert result.scores.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "activation", "best"),
    [
        ("probabilities", None, 3.0),
        ("Softmax_12", None, 3.0),
        ("output0", None, 0.66524),
        ("log_probs", None, 0.66524),
        ("probabilities", "softmax", 0.66524),
        ("logits", "none", 3.0),
        ("logits", "sigmoid", 0.95257),
    ],
)
def test_activation_goes_by_the_card_then_by_name(name: str, activation: Activation | None, best: float) -> None:
    post = Postprocess(activation=activation)
    result = Decoder("classify", post, (), line(name, 1, 3), None)({name: LOGITS}, None)
    assert isinstance(result, Classification)
    assert result.score == pytest.approx(best, abs=1e-5)


def test_a_classifier_that_keeps_its_picture_dimensions() -> None:
    result = Decoder("classify", Postprocess(), LABELS, line("x", 1, 3, 1, 1), None)(
        {"x": LOGITS.reshape(1, 3, 1, 1).astype(np.float16)}, None
    )
    assert isinstance(result, Classification)
    assert len(result.class_ids) == 3
    assert result.label == "dog"


def test_vectors_are_copies() -> None:
    memory = np.asarray([[1.0, 2.0]], np.float32)
    embedding = Decoder("embed", Postprocess(), (), line("e", 1, 2), None)({"e": memory}, None)
    values = Decoder("regress", Postprocess(), ("x", "y"), line("v", 1, 2), None)({"v": memory}, None)
    memory[:] = 0
    assert isinstance(embedding, Embedding)
    assert isinstance(values, Regression)
    assert embedding.vector.tolist() == [1.0, 2.0]
    assert values.to_json()["values"] == {"x": 1.0, "y": 2.0}


def test_patches_are_pooled_as_the_card_says() -> None:
    outputs = (TensorSpec(name="last_hidden_state", shape=(1, 2, 3)),)
    patches = {"last_hidden_state": np.asarray([[[1, 2, 3], [3, 4, 5]]], np.float32)}
    first = Decoder("embed", Postprocess(), (), outputs, None)(patches, None)
    mean = Decoder("embed", Postprocess(pooling="mean"), (), outputs, None)(patches, None)
    assert isinstance(first, Embedding)
    assert isinstance(mean, Embedding)
    assert first.vector.tolist() == [1, 2, 3]
    assert mean.vector.tolist() == [2, 3, 4]


def test_the_usual_name_wins_among_several() -> None:
    outputs = (TensorSpec(name="hidden", shape=(1, 3)), TensorSpec(name="logits", shape=(1, 3)))
    decoder = Decoder("classify", Postprocess(), LABELS, outputs, None)
    result = decoder({"hidden": -LOGITS, "logits": LOGITS}, None)
    assert isinstance(result, Classification)
    assert result.label == "dog"
    other = Decoder("classify", Postprocess(outputs={"logits": "hidden"}), LABELS, outputs, None)
    result = other({"hidden": -LOGITS, "logits": LOGITS}, None)
    assert isinstance(result, Classification)
    assert result.label == "cat"


@pytest.mark.parametrize(
    ("task", "post", "labels", "outputs", "says"),
    [
        ("clasify", {}, (), line("logits", 1, 3), "There is no task 'clasify'"),
        ("classify", {}, ("cat",), line("logits", 1, 3), "1 labels, but the model has 3 classes"),
        ("classify", {}, (), line("logits", 1, 3, 4), r"expects one output `logits`.*'logits' \[1, 3, 4\]"),
        ("classify", {}, (), (*line("a", 1, 3), *line("b", 1, 3)), "A classifier expects"),
        ("classify", {"outputs": {"logits": "c"}}, (), line("a", 1, 3), "says that 'c' holds the logits"),
        ("classify", {"head": "yolov8"}, (), line("logits", 1, 3), "only a detector has heads"),
        ("detect", {"head": "yolo8"}, (), line("x", 1, 7, 21), "no head 'yolo8'. Did you mean 'yolov8'"),
        ("detect", {}, (), line("output0", 1, 84, 8400), "Head 'boxes_scores' expects boxes"),
        ("regress", {}, ("x",), line("values", 1, 3), "1 labels"),
    ],
)
def test_refused_before_the_first_frame(
    task: str, post: dict[str, object], labels: tuple[str, ...], outputs: tuple[TensorSpec, ...], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Decoder(task, Postprocess.model_validate(post), labels, outputs, (64, 64))
    assert caught.value.hint


def test_a_tasks_own_name_may_stand_as_head() -> None:
    Decoder("classify", Postprocess(head="classify"), (), line("x", 1, 3), None)


@pytest.mark.parametrize("field", [{"score_threshold": 1.5}, {"top_k": 0}, {"treshold": 0.5}, {"box_format": "yxyx"}])
def test_wrong_fields_are_refused(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Postprocess.model_validate(field)
