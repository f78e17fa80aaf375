"""Models of different input sizes answer as one: each sees the camera's picture as it was prepared for it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from edgesdk.benchmark.lane import Opening
from edgesdk.benchmark.subject import bundle_subject
from edgesdk.benchmark.variant_lane import VariantLane
from edgesdk.cli.bundle_together import cascade, ensemble
from edgesdk.fleet.broker import Broker
from edgesdk_agent.cameras.folder import FolderCamera
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import slots_wanted
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import BadBundle
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.model import Model, load_model
from edgesdk_targets.preprocess.png import encode_png
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.results import Classification
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import Array
from edgesdk_targets.tuning.bench import SessionBench
from edgesdk_targets.tuning.setting import Hint, Setting
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.tiny_bundles import LABELS, write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, MEAN, STD, WIDE, WIDE_PIXELS, WIDE_SIDE

VARIANTS = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))
SIZE = (WIDE_SIDE, WIDE_SIDE)


def picture(seed: int) -> Array:
    """Colours in coarse and fine grain, larger than any model's input: what is seen depends on the size it is seen at."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (9, 12, 3)).repeat(20, 0).repeat(20, 1)
    made: Array = np.clip(coarse + random.normal(0, 60, coarse.shape), 0, 255).astype(np.uint8)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a wrong mean, a large one, in float and of pixels, and pictures that the large one labelled."""
    folder = tmp_path_factory.mktemp("sizes")
    off = Preprocess(color="bgr", size=(16, 16), mean=(MEAN - 30,) * 3, std=(STD,) * 3)
    write_tiny_bundle(folder / "small.edgebundle", CNN, VARIANTS, name="small", preprocess=off)
    cropped = Preprocess(color="bgr", size=SIZE, resize="letterbox", mean=(MEAN,) * 3, std=(STD,) * 3)
    write_tiny_bundle(folder / "large.edgebundle", WIDE, VARIANTS, name="large", preprocess=cropped)
    write_tiny_bundle(folder / "pixels.edgebundle", WIDE_PIXELS, VARIANTS, name="pixels", preprocess=cropped)
    with load_model(folder / "large.edgebundle") as large:
        for seed in range(24):
            answer = cast("Classification", large(picture(seed)))
            place = folder / "data" / LABELS[int(answer.class_ids[0])]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{seed}.png").write_bytes(encode_png(picture(seed)))
    for label in LABELS:
        (folder / "data" / label).mkdir(exist_ok=True)
    cascade(
        str(folder / "small.edgebundle"), str(folder / "large.edgebundle"), folder / "both.edgebundle", folder / "data",
        max_share=0.5,
    )  # fmt: skip
    return folder


def scores(model: Model, image: Array) -> Array:
    answer = cast("Classification", model(image))
    order = np.argsort(answer.class_ids)
    return np.asarray(answer.scores)[order]


@pytest.mark.parametrize("variant", ["generic-onnx-onnxruntime-cascade", "rpi5-litert-cascade"])
def test_each_member_answers_as_it_does_alone(folder: Path, variant: str) -> None:
    target = variant.partition("-onnxruntime")[0].partition("-litert")[0]
    with (
        load_model(folder / "both.edgebundle", variant=variant, postprocess={"top_k": 5}) as both,
        load_model(folder / "small.edgebundle", target=target, postprocess={"top_k": 5}) as small,
        load_model(folder / "large.edgebundle", target=target, postprocess={"top_k": 5}) as large,
    ):
        together = both.variant.together
        assert together is not None
        assert together.threshold is not None
        asked = [False, False]
        for seed in range(24):
            sure = scores(small, picture(seed))
            doubt = bool(sure.max() < together.threshold)
            asked[doubt] = True
            alone = scores(large, picture(seed)) if doubt else sure
            np.testing.assert_allclose(scores(both, picture(seed)), alone, atol=2e-3)
        assert all(asked)


@pytest.mark.parametrize("variant", ["generic-onnx-onnxruntime-cascade", "rpi5-litert-cascade"])
def test_the_golden_set_holds_what_each_member_sees(folder: Path, variant: str) -> None:
    with open_bundle(folder / "both.edgebundle") as bundle, load_model(bundle, variant=variant) as model:
        report = check_golden(bundle, model)
        golden = json.loads(bundle.read("golden/golden.json"))
        assert report.passed, report
        assert all(set(one["own"]) == {"image-2"} for one in golden["pictures"])


def test_a_member_that_sees_another_picture_than_when_it_was_built_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the large member's picture is shifted in preparation, the small one's is as it was."""
    with open_bundle(folder / "both.edgebundle") as bundle, load_model(bundle) as model:
        right = model.preprocessor_of

        class Shifted:
            def __init__(self, own: Any) -> None:
                self._right = right(own)

            def into(self, image: Array, out: Array) -> object:
                return self._right.into(np.roll(image, 30, axis=1), out)

        monkeypatch.setattr(model, "preprocessor_of", Shifted)
        report = check_golden(bundle, model)
    failed = {stage.stage for stage in report.stages if stage.failed}
    assert "preprocess" in failed
    assert not report.passed


def test_a_member_of_pixels_and_the_rules_that_ask_all(folder: Path) -> None:
    names = [str(folder / f"{name}.edgebundle") for name in ("small", "large", "pixels")]
    ensemble(names, folder / "mean.edgebundle", rule="average")
    with load_model(folder / "mean.edgebundle", target="rpi5", postprocess={"top_k": 5}) as mean:
        models = [load_model(name, target="rpi5", postprocess={"top_k": 5}) for name in names]
        expected = np.mean([scores(model, picture(1)) for model in models], axis=0)
        np.testing.assert_allclose(scores(mean, picture(1)), expected, atol=2e-3)
        for model in models:
            model.close()
    with open_bundle(folder / "mean.edgebundle") as bundle, load_model(bundle, target="generic-onnx") as model:
        assert [spec.name for spec in bundle.manifest.inputs] == [CNN.inputs[0].name, "image-2", "image-3"]
        assert check_golden(bundle, model).passed


def test_the_pipeline_answers_as_the_call_does(folder: Path, tmp_path: Path) -> None:
    for seed in range(6):
        (tmp_path / f"{seed}.png").write_bytes(encode_png(picture(seed)))
    found: list[FrameResult] = []
    with load_model(folder / "both.edgebundle") as model:
        slots = model.slots(slots_wanted(("every_frame",), 1))
        with Pipeline(slots, FolderCamera(tmp_path), policy="every_frame", on_result=found.append) as pipeline:
            assert pipeline.wait(60)
        expected = [cast("Classification", model(picture(seed))).to_json() for seed in range(6)]
    assert [frame.result.to_json() for frame in sorted(found, key=lambda one: one.seq)] == expected


def test_evaluate_verify_and_the_agent_run_it_as_processes(folder: Path, tmp_path: Path) -> None:
    both, variant = folder / "both.edgebundle", "generic-onnx-onnxruntime-cascade"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def said(*words: str | Path) -> dict[str, Any]:
        command = [sys.executable, "-m", "edgesdk", *map(str, words), "--variant", variant, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    with open_bundle(both) as bundle:
        made = json.loads(bundle.read("reports/together.json"))["calibrated"]
    accuracy = next(one["accuracy"] for one in made if one["variant"] == variant)
    assert said("evaluate", both, "--data", folder / "data")["metrics"]["top1"]["value"] == pytest.approx(accuracy)
    assert said("verify", both)["verdict"] == "pass"
    for seed in range(6):
        (tmp_path / f"{seed}.png").write_bytes(encode_png(picture(seed)))
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess(
            "--bundle", both, "--variant", variant, "--source", tmp_path, "--broker", broker.address, env=environment
        ) as agent:
            code, _ = agent.finish()
        assert code == 0, agent.log
        heard = [one.body for one in listener.wait_for("up/result", 6)]
    with load_model(both, variant=variant) as model:
        expected = [cast("Classification", model(picture(seed))).label for seed in range(6)]
    assert [one["result"]["classes"][0]["label"] for one in heard] == expected


@pytest.mark.parametrize("copies", [False, True], ids=["as-it-is", "a-copied-picture"])
def test_nothing_of_frame_size_is_allocated_for_a_picture(folder: Path, *, copies: bool) -> None:
    with load_model(folder / "both.edgebundle", target="rpi5") as model:
        slot = model.slots(1)[0]
        image = picture(0)
        for _ in range(3):
            slot.prepare(image)
        tracemalloc.start()
        try:
            for _ in range(20):
                slot.prepare(image.copy() if copies else image)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # The large member's pixels, a quarter of its input; numpy turns them into floats by blocks of 32 kB.
    assert (peak >= WIDE_SIDE * WIDE_SIDE * 3) == copies


def test_what_the_large_members_picture_takes_is_part_of_the_cost(folder: Path) -> None:
    with open_bundle(folder / "both.edgebundle") as bundle:
        made = json.loads(bundle.read("reports/together.json"))["calibrated"]
    for one in made:
        first, second = (member["ms"] for member in one["members"])
        assert one["prepare_ms"] > 0
        assert one["ms"] == pytest.approx(first + one["prepare_ms"] + one["share"] * second, rel=1e-2)
        assert one["budgets"][0]["ms"] == pytest.approx(first + one["prepare_ms"], rel=1e-2)


def test_benchmark_and_tune_fill_every_members_input(folder: Path, tmp_path: Path) -> None:
    with open_bundle(folder / "both.edgebundle") as bundle:
        variant = next(one for one in bundle.manifest.variants if one.target == "rpi5")
        subject = bundle_subject(bundle, variant)
        files = {name: tmp_path / name.replace("/", "-") for name in subject.files}
        for name, path in files.items():
            path.write_bytes(subject.files[name])
        lane = VariantLane(Opening(subject.options, files, 1, tmp_path))
        bench = SessionBench(bundle, Hint.LATENCY, fps=30.0, cache_dir=None)
        measured = bench.open(Setting(variant.id, Runtime.LITERT, variant.precision, 1, 1))
        bench.close(measured.setting)
    assert set(lane.stages()) == {"preprocess", "decode"}
    own = lane._binding.inputs["image-2"]
    filled = own.copy()
    own[...] = 0
    lane.infer()
    assert np.array_equal(own, filled)
    assert filled.any()
    assert measured.prepare_ms > 0


def test_a_manifest_whose_inputs_and_members_do_not_agree_is_refused(folder: Path) -> None:
    with open_bundle(folder / "both.edgebundle") as bundle:
        text = bundle.manifest.to_bytes()
        assert Manifest.from_bytes(text) == bundle.manifest
    with pytest.raises(BadBundle, match="of their own"):
        Manifest.from_bytes(text.replace(b'"picture":"image-2"', b'"picture":"image-9"'))
    document = json.loads(text)
    document["own_preprocess"] = None
    with pytest.raises(BadBundle, match="of their own"):
        Manifest.from_bytes(json.dumps(document).encode())
