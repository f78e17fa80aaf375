"""Calibration pictures as model inputs, and what a model sees in a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edgesdk_converters.calibration.calibration_set import open_calibration
from edgesdk_converters.calibration.features import backbone_features, narrowest_place
from edgesdk_converters.calibration.samples import samples_of
from edgesdk_converters.proving.parity_pictures import draw_picture
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.card import ModelCard
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model

IMAGE = TensorSpec(name="image", shape=(1, 3, 16, 24), layout="NCHW")
STATE = TensorSpec(name="h0", shape=(1, 1, 4))
PREPROCESS = {"color": "rgb", "resize": "stretch", "mean": [0, 0, 0], "std": [255, 255, 255]}


def _card(**more: object) -> ModelCard:
    shape = {"name": "image", "shape": IMAGE.shape, "layout": "NCHW"}
    return ModelCard.model_validate(
        {"name": "m", "task": "classify", "input": shape, "preprocess": {**PREPROCESS, "size": [16, 24]}, **more}
    )


def test_pictures_become_inputs_on_the_disk(tmp_path: Path) -> None:
    pictures = [draw_picture((16, 24), seed) for seed in range(5)]
    samples = samples_of(iter(pictures), (IMAGE,), _card(), folder=tmp_path)
    assert samples["image"].shape == (5, 1, 3, 16, 24)
    assert samples["image"].dtype == np.float32
    assert isinstance(samples["image"], np.memmap)
    expected = np.stack(pictures)[..., ::-1].transpose(0, 3, 1, 2)[:, None] / 255
    np.testing.assert_allclose(samples["image"], expected, atol=1e-6)


def test_states_are_those_that_the_model_reaches(tmp_path: Path) -> None:
    card = _card(state=[{"input": "h0", "output": "hn", "shape": [1, 1, 4]}])
    seen: list[float] = []

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        seen.append(float(feeds["image"].mean()))
        return {"hn": feeds["h0"] * 0.5 + feeds["image"].mean(), "logits": np.zeros((1, 2), np.float32)}

    pictures = [draw_picture((16, 24), seed) for seed in range(4)]
    samples = samples_of(pictures, (IMAGE, STATE), card, states_from=run, folder=tmp_path)
    assert samples["h0"].shape == (4, 1, 1, 4)
    expected, state = [], 0.0
    for mean in seen:
        expected.append(state)
        state = state * 0.5 + mean
    np.testing.assert_allclose(samples["h0"][:, 0, 0, 0], expected, rtol=1e-5)
    with pytest.raises(InputError, match="states_from"):
        samples_of(pictures, (IMAGE, STATE), card, folder=tmp_path)
    with pytest.raises(InputError, match="not finite"):
        samples_of(pictures, (IMAGE, STATE), card, states_from=lambda f: {"hn": f["h0"] * np.nan}, folder=tmp_path)


def test_states_come_in_the_order_of_the_source_and_rows_in_that_of_the_choice(tmp_path: Path) -> None:
    card = _card(state=[{"input": "h0", "output": "hn", "shape": [1, 1, 4]}])
    chosen = open_calibration([draw_picture((16, 24), seed) for seed in range(12)], count=12)
    assert chosen.in_source_order() != list(range(12))
    assert [chosen.names[row] for row in chosen.in_source_order()] == [str(n) for n in range(12)]
    samples = samples_of(
        chosen, (IMAGE, STATE), card, states_from=lambda feeds: {"hn": feeds["h0"] + 1}, folder=tmp_path
    )
    # The state counts the pictures before: it is the picture's place in the source.
    assert [int(row[0, 0, 0]) for row in samples["h0"]] == [int(name) for name in chosen.names]
    first = samples_of(list(chosen), (IMAGE,), _card(), folder=tmp_path)
    np.testing.assert_array_equal(samples["image"], first["image"])


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "samples-0.npy").symlink_to("/dev/full")
    with pytest.raises(NoSpace, match="disk is full"):
        samples_of([draw_picture((16, 24), 0)], (IMAGE,), _card(), folder=tmp_path)


def test_no_pictures_or_a_model_without_a_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no calibration pictures"):
        samples_of([], (IMAGE,), _card(), folder=tmp_path)
    with pytest.raises(InputError, match="not one picture"):
        samples_of([draw_picture((16, 24), 0)], (IMAGE, STATE), _card(), folder=tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        samples_of([draw_picture((16, 24), 0)], (IMAGE,), _card(), folder=tmp_path / "nowhere")


def _two_heads() -> bytes:
    """Stem → body → two heads: the body's output is where both heads come from."""
    rng = np.random.default_rng(2)
    weights = {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in {"w0": (4, 3, 3, 3), "w1": (6, 4, 1, 1), "wa": (2, 6, 1, 1), "wb": (3, 6, 1, 1)}.items()
    }
    nodes = [
        Node("Conv", ["image", "w0"], ["stem"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        Node("Relu", ["stem"], ["stem_relu"]),
        Node("Conv", ["stem_relu", "w1"], ["body"]),
        Node("Relu", ["body"], ["body_relu"]),
        Node("Conv", ["body_relu", "wa"], ["boxes"]),
        Node("Conv", ["body_relu", "wb"], ["scores_raw"]),
        Node("Sigmoid", ["scores_raw"], ["scores"]),
    ]
    outputs = [TensorSpec(name="boxes", shape=(1, 2, 8, 12)), TensorSpec(name="scores", shape=(1, 3, 8, 12))]
    return onnx_model(nodes, [IMAGE], outputs, weights)


def test_features_are_taken_where_the_heads_divide() -> None:
    model = _two_heads()
    assert narrowest_place(parse_onnx(model)) == "body_relu"
    features = backbone_features(model)
    prepared = np.random.default_rng(3).random(IMAGE.shape, np.float32)
    row = features(prepared)
    assert row.shape == (6,)
    assert (row >= 0).all()
    np.testing.assert_array_equal(row, features(prepared))
    assert np.abs(row - features(1 - prepared)).max() > 1e-3


def test_a_model_without_such_a_place_gives_its_outputs() -> None:
    weights = {"w": np.ones((2, 3, 1, 1), np.float32)}
    outputs = [TensorSpec(name="y", shape=(1, 2, 16, 24))]
    model = onnx_model([Node("Conv", ["image", "w"], ["y"])], [IMAGE], outputs, weights)
    assert narrowest_place(parse_onnx(model)) is None
    assert backbone_features(model)(np.ones(IMAGE.shape, np.float32)).tolist() == [3.0, 3.0]
