"""To prepare a member's own picture is part of each inference that is timed; to prepare the one that every model needs is not."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesdk.benchmark import variant_lane
from edgesdk.benchmark.lane import Opening
from edgesdk.benchmark.pictures import golden_picture
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.benchmark.variant_lane import VariantLane
from edgesdk.cli.app import run
from edgesdk.cli.bundle_together import ensemble
from edgesdk.comparison.parts import VariantPart, first_picture
from edgesdk.evaluate.dataset import open_dataset
from edgesdk_targets.batch import BatchBinding
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.preprocess.png import encode_png
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Runtime
from edgesdk_testkit.labelled_pictures import write_shades
from edgesdk_testkit.tiny_bundles import LABELS, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, MEAN, STD, WIDE, WIDE_SIDE

VARIANTS = (("generic-onnx", Runtime.ONNXRUNTIME),)
NOTE = "what further pictures take to be prepared for its members is part of each inference"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of small pictures, one of large ones, and both as one."""
    folder = tmp_path_factory.mktemp("preparing")
    for name, network, side in (("small", CNN, 16), ("large", WIDE, WIDE_SIDE)):
        seen = Preprocess(color="bgr", size=(side, side), mean=(MEAN,) * 3, std=(STD,) * 3)
        write_tiny_bundle(folder / f"{name}.edgebundle", network, VARIANTS, name=name, preprocess=seen)
    ensemble([str(folder / f"{name}.edgebundle") for name in ("small", "large")], folder / "both.edgebundle")
    return folder


def test_an_inference_fills_a_members_own_input_and_the_stage_beside_it_does_not(folder: Path, tmp_path: Path) -> None:
    with open_bundle(folder / "both.edgebundle") as bundle:
        subject = bundle_subject(bundle, bundle.manifest.variants[0])
    files = {name: tmp_path / name.replace("/", "-") for name in subject.files}
    for name, path in files.items():
        path.write_bytes(subject.files[name])
    lane = VariantLane(Opening(subject.options, files, 1, tmp_path))
    preprocess, own = lane.stages()["preprocess"], lane._binding.inputs["image-2"]
    filled = own.copy()
    assert filled.any()
    own[...] = 0
    preprocess()
    assert not own.any()
    lane.infer()
    assert np.array_equal(own, filled)


def test_every_row_of_a_batch_holds_the_picture(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_two(*given: Any, **named: Any) -> Any:
        session = open_files(*given, **named)
        arrays = {spec.name: np.zeros((2, *spec.shape[1:]), spec.numpy_dtype) for spec in session.inputs}
        rows = BatchBinding(SimpleNamespace(inputs=arrays), 2)  # type: ignore[arg-type]
        return SimpleNamespace(inputs=session.inputs, outputs=session.outputs, bind=lambda _slots: (rows,))

    open_files = variant_lane.open_files
    monkeypatch.setattr(variant_lane, "open_files", of_two)
    with open_bundle(folder / "both.edgebundle") as bundle:
        subject = bundle_subject(bundle, bundle.manifest.variants[0])
    files = {name: tmp_path / name.replace("/", "-") for name in subject.files}
    for name, path in files.items():
        path.write_bytes(subject.files[name])
    lane = VariantLane(Opening(subject.options, files, 1, tmp_path))
    first, second = lane._binding.rows  # type: ignore[attr-defined]
    lane._prepare_own()  # type: ignore[misc]
    assert len(first) == 2
    for name, filled in first.items():
        assert np.array_equal(second[name], filled), name


def test_a_comparison_prepares_a_picture_as_the_cameras_are(folder: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(encode_png(np.zeros((480, 640, 3), np.uint8)))
    for name, taken in (("both", True), ("small", False)):
        with open_bundle(folder / f"{name}.edgebundle") as bundle:
            part = VariantPart(bundle, bundle.manifest.variants[0], Runtime.ONNXRUNTIME)
            # A model that sees one picture is timed by the bundle's own, or a drawn one: its time does not hang on it.
            own = golden_picture(bundle)
            assert part.subject(name, large).files.get("picture") == (large.read_bytes() if taken else own)
            assert part.subject(name, None).files.get("picture") == own


def test_a_comparison_times_with_the_first_picture_that_decodes(tmp_path: Path) -> None:
    write_shades(tmp_path, seed=1, count=1)
    data = open_dataset(tmp_path, task="classify", labels=LABELS)
    first, second = (sample.path for sample in data.samples[:2])
    assert first_picture(data) == first
    first.write_bytes(first.read_bytes()[:20])
    assert first_picture(data) == second
    for sample in data.samples:
        sample.path.write_bytes(b"no picture")
    assert first_picture(data) is None


@pytest.mark.parametrize(("name", "told"), [("both", True), ("small", False)])
def test_the_benchmark_says_so(folder: Path, name: str, told: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["benchmark", str(folder / f"{name}.edgebundle"), "--duration", "0.05", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["variants"][0]
    assert (NOTE in row["notes"]) == told
    assert "preprocess" in row["stages_ms"]
