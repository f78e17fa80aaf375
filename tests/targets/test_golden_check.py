"""The golden check passes a healthy variant, fails every wrong one, and names the stage that is wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import BadBundle
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.golden.golden_file import GoldenSet
from edgesdk_targets.golden.report import GoldenReport
from edgesdk_targets.model import Model, load_model
from edgesdk_targets.slot import Slot
from edgesdk_targets.tensor import Array

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = "golden/golden.json"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample detector with real pictures in its golden set, fp32 on ONNX Runtime."""
    folder = tmp_path_factory.mktemp("golden")
    render = ROOT / "examples/digits/render_eval.py"
    subprocess.run([sys.executable, render, "detector", folder / "data", "--count", "8"], check=True)
    card = ROOT / "examples/digits/detector.yaml"
    return convert(card, "generic-onnx", precision="fp32", output=folder, data=folder / "data/images").path


def changed(
    healthy: Path,
    folder: Path,
    *,
    manifest: Callable[[dict[str, Any]], None] = lambda _: None,
    files: Callable[[Files], None] = lambda _: None,
) -> Path:
    """Write the bundle anew with a fault in it; its hashes are right."""
    with open_bundle(healthy) as bundle:
        content = {name: bundle.read(name) for name in bundle.manifest.files}
        data = bundle.manifest.model_dump(mode="json", by_alias=True)
    manifest(data)
    files(content)
    write_bundle(folder / "changed.edgebundle", Manifest.model_validate(data), content)
    return folder / "changed.edgebundle"


def checked(path: Path) -> GoldenReport:
    with open_bundle(path) as bundle, load_model(bundle) as model:
        return check_golden(bundle, model)


def model_name(files: Files) -> str:
    return next(name for name in files if name.endswith("model.onnx"))


def edit_weights(files: Files, edit: Callable[[str, Array], Array]) -> None:
    name = model_name(files)
    model = onnx.load_from_string(files[name])
    for tensor in model.graph.initializer:
        new = edit(tensor.name, numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(new), tensor.name))
    files[name] = model.SerializeToString()


def swap_channels(_name: str, weights: Array) -> Array:
    return weights[:, ::-1] if weights.ndim == 4 and weights.shape[1] == 3 else weights


def other_weights(_name: str, weights: Array) -> Array:
    if weights.ndim != 4:
        return weights
    rng = np.random.default_rng(len(weights))
    return (rng.permutation(weights.reshape(-1)).reshape(weights.shape)).astype(weights.dtype)


def a_little_off(_name: str, weights: Array) -> Array:
    return weights * np.float32(1.02) if weights.ndim == 4 else weights


def replace_output(files: Files, name: str) -> None:
    """Let an output be all zeros."""
    model = onnx.load_from_string(files[model_name(files)])
    for node in model.graph.node:
        node.output[:] = [f"{one}_alive" if one == name else one for one in node.output]
        node.input[:] = [f"{one}_alive" if one == name else one for one in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "dead"))
    model.graph.node.append(onnx.helper.make_node("Mul", [f"{name}_alive", "dead"], [name]))
    files[model_name(files)] = model.SerializeToString()


def corrupt_output(files: Files) -> None:
    name = next(name for name in files if name.endswith("fp32.npy"))
    values = np.load(io.BytesIO(files[name]))
    values[3, int(np.abs(values[3]).argmax())] *= -1
    buffer = io.BytesIO()
    np.save(buffer, values)
    files[name] = buffer.getvalue()


def corrupt_result(files: Files) -> None:
    golden = json.loads(files[GOLDEN])
    answers = next(iter(golden["variants"].values()))
    answers["results"][2]["objects"][0]["box"][0] += 25
    files[GOLDEN] = json.dumps(golden).encode()


def another_picture(files: Files) -> None:
    files["golden/01.png"] = files["golden/02.png"]


def no_picture(files: Files) -> None:
    files["golden/01.png"] = b"not a picture"


def test_a_healthy_variant_passes_every_stage(healthy: Path) -> None:
    report = checked(healthy)
    assert report.passed, report.in_words()
    assert report.first_divergence is None
    assert [stage.passed for stage in report.stages] == [True] * 5
    assert report.pictures >= 8
    assert json.loads(json.dumps(report.to_json()))["verdict"] == "pass"


def test_there_is_something_to_find_in_the_golden_pictures(healthy: Path) -> None:
    with open_bundle(healthy) as bundle:
        golden = GoldenSet.model_validate_json(bundle.read(GOLDEN))
    answers = next(iter(golden.variants.values()))
    found = [[one for one in result.objects if one.steady] for result in answers.results]  # type: ignore[union-attr]
    assert sum(bool(objects) for objects in found) >= 6
    assert all(limit.db >= 30 for limit in answers.limits.values())
    assert all(tolerance.score <= 0.15 and tolerance.box <= 8 for tolerance in answers.tolerances)


def preprocess(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["preprocess"].update(values)


def postprocess(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["postprocess"].update(values)


def shift_labels(manifest: dict[str, Any]) -> None:
    manifest["labels"] = [*manifest["labels"][1:], manifest["labels"][0]]


@pytest.mark.parametrize(
    ("edit", "stage"),
    [
        pytest.param(preprocess(color="bgr"), "preprocess", id="channels swapped"),
        pytest.param(preprocess(resize="stretch"), "preprocess", id="stretched"),
        pytest.param(preprocess(pad=0), "preprocess", id="pad value"),
        pytest.param(preprocess(mean=[5, 5, 5]), "preprocess", id="wrong mean"),
        pytest.param(preprocess(std=[58.4, 57.1, 57.4]), "preprocess", id="wrong std"),
        pytest.param(preprocess(interpolation="nearest"), "preprocess", id="other interpolation"),
        pytest.param(postprocess(score_threshold=0.95), "postprocess", id="threshold too high"),
        pytest.param(postprocess(score_threshold=0.01), "postprocess", id="threshold too low"),
        pytest.param(postprocess(iou_threshold=1.0), "postprocess", id="no suppression"),
        pytest.param(shift_labels, "postprocess", id="labels shifted"),
    ],
)
def test_a_wrong_manifest_fails_in_its_stage(
    edit: Callable[[dict[str, Any]], None], stage: str, healthy: Path, tmp_path: Path
) -> None:
    report = checked(changed(healthy, tmp_path, manifest=edit))
    assert not report.passed
    assert report.first_divergence is not None
    assert report.first_divergence.stage == stage, report.in_words()
    assert stage in report.in_words()


@pytest.mark.parametrize(
    ("edit", "stage"),
    [
        pytest.param(lambda files: edit_weights(files, swap_channels), "inference", id="channels swapped inside"),
        pytest.param(lambda files: edit_weights(files, other_weights), "inference", id="another model's weights"),
        pytest.param(lambda files: edit_weights(files, a_little_off), "inference", id="weights two percent off"),
        pytest.param(lambda files: replace_output(files, "scores"), "inference", id="dead scores"),
        pytest.param(lambda files: replace_output(files, "boxes"), "inference", id="dead boxes"),
        pytest.param(corrupt_output, "inference", id="one golden value corrupted"),
        pytest.param(corrupt_result, "postprocess", id="a golden box corrupted"),
        pytest.param(another_picture, "decode image", id="another picture"),
        pytest.param(no_picture, "decode image", id="no picture"),
    ],
)
def test_a_wrong_file_fails_in_its_stage(
    edit: Callable[[Files], None], stage: str, healthy: Path, tmp_path: Path
) -> None:
    report = checked(changed(healthy, tmp_path, files=edit))
    assert report.first_divergence is not None
    assert report.first_divergence.stage == stage, report.in_words()


def test_other_rounding_on_another_machine_passes(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pixel one grey level up or down, as OpenCV on Arm does, and outputs off by float32's last bits."""
    rng = np.random.default_rng(8)
    prepare, run = Slot.prepare, Model.infer

    def prepare_rounded(slot: Slot, image: Array) -> None:
        prepare(slot, image)
        array = slot._image
        trifle = rng.integers(-1, 2, array.shape) / 255
        array[...] = np.clip(array + trifle.astype(np.float32), 0, 1)

    monkeypatch.setattr(Slot, "prepare", prepare_rounded)
    assert run is Model.infer
    report = checked(healthy)
    assert report.passed, report.in_words()


def rounded_elsewhere(files: Files, *, to_source: bool) -> None:
    """Let the artifact's own answers be 15 dB off those of this machine, as if it had been built where it rounds otherwise."""
    golden = json.loads(files[GOLDEN])
    own = next(iter(golden["variants"].values()))
    values = np.load(io.BytesIO(files[own["outputs"]]))
    rng, start, other = np.random.default_rng(5), 0, values.copy()
    for count in golden["counts"]:
        part = values[:, start : start + count]
        rms = float(np.sqrt((part**2).mean()))
        other[:, start : start + count] += rng.normal(0, rms * 10 ** (-15 / 20), part.shape).astype(np.float32)
        start += count
    for name, array in (("golden/source.npy", values), (own["outputs"], other)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        files[name] = buffer.getvalue()
    if to_source:
        golden["source"] = "golden/source.npy"
        own["source_limits"] = {name: {"db": 40.0, "tiny": 1e-5} for name in own["limits"]}
        files[GOLDEN] = json.dumps(golden).encode()


def test_what_is_near_to_the_source_need_not_be_near_to_the_artifacts_own_answers(
    healthy: Path, tmp_path: Path
) -> None:
    near = checked(changed(healthy, tmp_path, files=lambda files: rounded_elsewhere(files, to_source=True)))
    assert near.passed, near.in_words()
    assert near.stages[2].worst.endswith("dB to its source; 40 are needed")
    far = checked(changed(healthy, tmp_path, files=lambda files: rounded_elsewhere(files, to_source=False)))
    assert far.first_divergence is not None
    assert far.first_divergence.stage == "inference"


def test_a_wrong_artifact_is_near_to_neither(healthy: Path, tmp_path: Path) -> None:
    def wrong(files: Files) -> None:
        rounded_elsewhere(files, to_source=True)
        edit_weights(files, a_little_off)

    report = checked(changed(healthy, tmp_path, files=wrong))
    assert report.first_divergence is not None
    assert report.first_divergence.stage == "inference"
    assert "dB to its source; 40 are needed" in report.in_words()


def test_a_fault_of_the_production_path_alone_is_found(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Slot.prepare
    monkeypatch.setattr(Slot, "prepare", lambda slot, image: prepare(slot, np.ascontiguousarray(image[:, ::-1])))
    report = checked(healthy)
    assert report.first_divergence is not None
    assert report.first_divergence.stage == "end to end"


def without_golden(files: Files) -> None:
    for name in [name for name in files if name.startswith("golden/")]:
        del files[name]


def test_a_bundle_without_a_golden_set_is_told(healthy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="no golden set") as caught:
        checked(changed(healthy, tmp_path, files=without_golden))
    assert "Convert the model again" in caught.value.hint


def rewrite(edit: Callable[[dict[str, Any]], None]) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        golden = json.loads(files[GOLDEN])
        edit(golden)
        files[GOLDEN] = json.dumps(golden).encode()

    return apply


def held_to_a_source(golden: dict[str, Any]) -> None:
    own = next(iter(golden["variants"].values()))
    own["source_limits"] = own["limits"]


def held_to_a_picture(golden: dict[str, Any]) -> None:
    held_to_a_source(golden)
    golden["source"] = "golden/00.png"


def unfinished_header() -> bytes:
    """Return an `.npy` whose description of itself ends in the middle."""
    header = b"{'descr': ('<f4', (".ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(rewrite(lambda golden: golden.update(schema="golden/2")), id="another schema"),
        pytest.param(rewrite(lambda golden: golden.update(frames=0)), id="no frames"),
        pytest.param(rewrite(lambda golden: golden.update(variants={})), id="variant unknown"),
        pytest.param(rewrite(lambda golden: golden["pictures"].pop()), id="a picture too few"),
        pytest.param(rewrite(lambda golden: golden["pictures"][0].update(file="golden/99.png")), id="picture missing"),
        pytest.param(rewrite(lambda golden: golden.update(counts=[10**9] * 2)), id="counts too large"),
        pytest.param(lambda files: files.update({"golden/index.npy": b"\x93NUMPY"}), id="no array"),
        pytest.param(lambda files: files.update({"golden/index.npy": b"PK\x03\x04"}), id="an archive for an array"),
        pytest.param(lambda files: files.update({"golden/index.npy": unfinished_header()}), id="a wrong array header"),
        pytest.param(lambda files: files.update({GOLDEN: b"{"}), id="no JSON"),
        pytest.param(rewrite(held_to_a_source), id="the source's answers missing"),
        pytest.param(rewrite(held_to_a_picture), id="a picture for the source's answers"),
    ],
)
def test_a_damaged_golden_set_is_refused(edit: Callable[[Files], None], healthy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="golden set"):
        checked(changed(healthy, tmp_path, files=edit))


def group(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda golden: golden["groups"][0].update(values)


def made_with(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda golden: golden["preprocess"].update(values)


def negative_count(golden: dict[str, Any]) -> None:
    """Leave the sum as it was: only the sign is wrong."""
    first, second, *rest = golden["counts"]
    golden["counts"] = [-1, first + second + 1, *rest]


def one_name(golden: dict[str, Any]) -> None:
    golden["groups"][1]["name"] = golden["groups"][0]["name"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        pytest.param(group(output="nothing"), "an output 'nothing', which the model has not", id="unknown output"),
        pytest.param(group(axis=7), "along axis 7 of an output", id="no such axis"),
        pytest.param(group(axis=-1), "groups.0.axis", id="axis from the end"),
        pytest.param(group(axis=1, start=-2), "groups.0.start", id="start from the end"),
        pytest.param(group(axis=1, start=3, stop=3), "the channels 3 to 3", id="empty group"),
        pytest.param(group(axis=1, stop=-1), "the channels 0 to -1", id="stop from the end"),
        pytest.param(group(axis=1, start=10**6), "the channels 1000000 to", id="start after the end"),
        pytest.param(one_name, "two groups have the same name", id="one name twice"),
        pytest.param(negative_count, "counts.0", id="negative count"),
        pytest.param(lambda golden: golden["counts"].append(0), "2 groups have 3 counts", id="a count too many"),
        pytest.param(made_with(size=[16384, 16384]), "prepared as [16384, 16384] x 3", id="size of another model"),
        pytest.param(made_with(color="gray", mean=[0], std=[255]), "x 1, and the model takes", id="channels"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_anything_is_made_of_it(
    edit: Callable[[dict[str, Any]], None],
    said: str,
    healthy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = changed(healthy, tmp_path, files=rewrite(edit))

    def touched(*_: object) -> None:
        raise AssertionError("a picture was prepared")

    monkeypatch.setattr("edgesdk_targets.golden.check.exact_pixels", touched)
    with pytest.raises(BadBundle, match="golden set") as caught:
        checked(path)
    assert said in caught.value.message


def test_the_golden_set_is_small(healthy: Path) -> None:
    with open_bundle(healthy) as bundle:
        sizes = {name: file.size for name, file in bundle.manifest.files.items() if name.startswith("golden/")}
    assert 8 <= sum(name.endswith(".png") for name in sizes) <= 32
    assert sum(sizes.values()) < 2_000_000
