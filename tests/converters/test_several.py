"""Several pictures an inference: each answered as alone, whatever the runtime; and what cannot be had so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from edgesdk.benchmark.subject import bundle_subject
from edgesdk_agent.embedding import Pipeline
from edgesdk_converters.conversion import Conversion
from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import InputError
from edgesdk_targets.model import load_model
from edgesdk_targets.results import Classification
from edgesdk_targets.session import SessionOptions
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_models import CNN, MEAN, STD

CARD: dict[str, Any] = {
    "name": "several",
    "task": "classify",
    "input": {"name": "image", "shape": [1, 3, 16, 16]},
    "preprocess": "zero-one",
    "labels": ["a", "b", "c", "d", "e"],
}
BATCH = 4


class Net(nn.Module):
    """A classifier; `mixes` lets each picture's answer depend on the others'."""

    def __init__(self, *, mixes: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(32, 5)
            )
        self.mixes = mixes

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.layers(x.float())
        return answer - answer.mean(0, keepdim=True) / 2 if self.mixes else answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    output = tmp_path_factory.mktemp("several")
    return convert(Net().eval(), ["generic-onnx", "x86-cpu"], card=CARD, output=output, batch=BATCH, cache=None)


@pytest.fixture(scope="module")
def pictures() -> list[Any]:
    """Of several sizes, and no multiple of the batch."""
    random = np.random.default_rng(4)
    return [random.integers(0, 256, (12 + place, 20, 3), dtype=np.uint8) for place in range(2 * BATCH + 1)]


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("place", [0, 1], ids=["onnxruntime", "openvino"])
def test_each_picture_is_answered_as_alone(made: Conversion, pictures: list[Any], place: int, streams: int) -> None:
    variant = made.variants[place]
    assert variant.id.endswith("-b4")
    assert {spec.shape[0] for spec in (*variant.inputs, *variant.outputs)} == {BATCH}
    with load_model(made.path, variant=variant.id, options=SessionOptions(threads=1, streams=streams)) as model:
        assert model.batch == BATCH
        together, alone = model(pictures), [model(picture) for picture in pictures]
    assert len({float(one.scores[0]) for one in together if isinstance(one, Classification)}) == len(pictures)
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Classification)
        assert isinstance(other, Classification)
        assert list(one.class_ids) == list(other.class_ids)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)


def test_a_pipeline_says_that_each_frame_costs_as_much_as_many(
    made: Conversion, caplog: pytest.LogCaptureFixture
) -> None:
    with load_model(made.path, variant=made.variants[0].id) as model:
        with Pipeline(model, "synthetic:?frames=2", on_result=lambda _: None) as pipeline:
            pipeline.wait()
        assert pipeline.stats().processed == 2
    told = [message for message in caplog.messages if "each frame costs as much as 4" in message]
    assert len(told) == 1
    assert told[0].startswith("several takes 4 pictures")


def test_so_many_pictures_a_run_are_counted(made: Conversion) -> None:
    with open_bundle(made.path) as bundle:
        assert [bundle_subject(bundle, variant).pictures for variant in bundle.manifest.variants] == [BATCH, BATCH]
        assert bundle.manifest.inputs[0].shape[0] == 1


def test_a_manifest_whose_batch_is_not_that_of_its_tensors_is_refused(made: Conversion) -> None:
    with open_bundle(made.path) as bundle:
        document = json.loads(bundle.manifest.to_bytes())
    Manifest.model_validate(document)
    document["variants"][0]["batch"] = 2
    with pytest.raises(ValidationError, match="takes 2 pictures at once, and image is"):
        Manifest.model_validate(document)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_model_that_mixes_pictures_is_refused(tmp_path: Path, dtype: str) -> None:
    card = {**CARD, "input": {**CARD["input"], "dtype": dtype}}
    with pytest.raises(InputError, match="answers logits otherwise where 4 pictures"):
        convert(Net(mixes=True).eval(), "generic-onnx", card=card, output=tmp_path, batch=BATCH, cache=None)
    assert not list(tmp_path.iterdir())


def test_a_file_of_one_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(CNN.file(Runtime.ONNXRUNTIME).files["model"])
    preprocess = {"color": "bgr", "size": [16, 16], "mean": [MEAN] * 3, "std": [STD] * 3}
    (tmp_path / "card.yaml").write_text(json.dumps({**CARD, "source": "tiny.onnx", "preprocess": preprocess}))
    with pytest.raises(InputError, match="does not run on 4 pictures at once"):
        convert(tmp_path / "card.yaml", "generic-onnx", output=tmp_path / "out", batch=BATCH, cache=None)


def test_int8_is_of_one_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="INT8 is built for one picture"):
        convert(Net().eval(), "generic-onnx", card=CARD, output=tmp_path, batch=BATCH, calib_data=tmp_path)
    with pytest.raises(InputError, match="A batch of 0 pictures"):
        convert(Net().eval(), "generic-onnx", card=CARD, output=tmp_path, batch=0)
