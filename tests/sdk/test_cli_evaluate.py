"""`edgesdk evaluate` on rendered data of the sample models, through the real command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.evaluate.answers import collect, paths_of
from edgesdk.evaluate.dataset import Dataset, open_dataset
from edgesdk.evaluate.gate import AccuracyGate
from edgesdk_converters.convert import convert
from edgesdk_converters.proving.predictor import Predictor
from edgesdk_converters.reference import open_reference
from edgesdk_converters.source import resolve_source
from edgesdk_targets.model import load_model

OTHER = ("--variant", "generic-onnx-onnxruntime-fp32")
FLOORS = {"detector": ("ap50", 0.97), "classifier": ("top1", 0.9), "row_reader": ("word_accuracy", 0.85)}


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", FLOORS)
def test_the_sample_models_keep_their_accuracy_in_a_bundle(name: str, root: Path, tmp_path: Path) -> None:
    rendered = _run(root / "examples/digits/render_eval.py", name, tmp_path / "data", "--count", "60")
    assert rendered.returncode == 0, rendered.stderr
    made = convert(root / f"examples/digits/{name}.yaml", ["generic-onnx", "x86-cpu"], output=tmp_path)
    metric, floor = FLOORS[name]
    values = []
    for target in ("generic-onnx", "x86-cpu"):
        done = _run("-m", "edgesdk", "evaluate", made.path, "--data", tmp_path / "data", "--target", target, "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        assert {"task", "metrics", "verdict"} <= set(document)
        figure = document["metrics"][metric]
        assert set(figure) == {"value", "low", "high", "n"}
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["value"] >= floor
        values.append(figure["value"])
    assert abs(values[0] - values[1]) < 0.01


def test_labels_that_are_wrong_are_measured_as_wrong(root: Path, tmp_path: Path) -> None:
    """Negative control: every row's text replaced, and nothing is right."""
    _run(root / "examples/digits/render_eval.py", "row_reader", tmp_path / "data", "--count", "12")
    table = tmp_path / "data/labels.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(f"{line.split(',')[0]},00000" for line in lines[1:])]) + "\n")
    made = convert(root / "examples/digits/row_reader.yaml", "generic-onnx", output=tmp_path)
    done = _run("-m", "edgesdk", "evaluate", made.path, "--data", tmp_path / "data", "--json")
    assert json.loads(done.stdout)["metrics"]["word_accuracy"]["value"] < 0.1


def test_missing_data_is_explained(digits_bundle: Path, tmp_path: Path) -> None:
    done = _run("-m", "edgesdk", "evaluate", digits_bundle, "--data", tmp_path / "absent")
    assert done.returncode == 2
    assert "does not exist" in done.stderr


@pytest.fixture(scope="module")
def classifier(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample classifier as float32 and float16, 320 pictures, and the same model with a wrong mean."""
    folder = tmp_path_factory.mktemp("classifier")
    rendered = _run(root / "examples/digits/render_eval.py", "classifier", folder / "data", "--count", "320")
    assert rendered.returncode == 0, rendered.stderr
    for precision, targets in (("fp32", ["x86-cpu", "generic-onnx"]), ("fp16", ["x86-cpu"])):
        path = folder / f"{precision}.edgebundle"
        convert(root / "examples/digits/classifier.yaml", targets, precision=precision, output=path)
    shutil.copytree(root / "examples/digits", folder / "digits")
    card = folder / "digits/classifier.yaml"
    card.write_text(card.read_text().replace("mean: [0]", "mean: [200]"))
    convert(card, "x86-cpu", output=folder / "wrong.edgebundle")
    return folder


def _judge(folder: Path, bundle: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    baseline = ("--baseline", folder / "fp32.edgebundle")
    return _run(
        "-m", "edgesdk", "evaluate", folder / f"{bundle}.edgebundle", "--data", folder / "data", *baseline, *options
    )


def test_shifted_class_folders_are_doubted(classifier: Path, tmp_path: Path) -> None:
    shutil.copytree(classifier / "data", tmp_path / "data")
    for digit in range(9, -1, -1):
        (tmp_path / "data" / str(digit)).rename(tmp_path / "data" / f"new-{digit + 1 if digit < 9 else 0}")
    for folder in list((tmp_path / "data").glob("new-*")):
        folder.rename(folder.with_name(folder.name.removeprefix("new-")))
    command = ("-m", "edgesdk", "evaluate", classifier / "fp32.edgebundle", "--data", tmp_path / "data")
    document = json.loads(_run(*command, "--json").stdout)
    assert document["metrics"]["top1"]["value"] < 0.1
    assert any("counted from another number" in text for text in document["warnings"])
    assert "labels do not seem to belong to these pictures" in _run(*command).stderr


class TestBaseline:
    def test_the_same_variant_in_a_copy_of_the_bundle(self, classifier: Path, tmp_path: Path) -> None:
        copy = shutil.copy(classifier / "fp32.edgebundle", tmp_path / "copy.edgebundle")
        done = _run(
            "-m",
            "edgesdk",
            "evaluate",
            copy,
            "--data",
            classifier / "data",
            "--baseline",
            classifier / "fp32.edgebundle",
        )
        assert done.returncode == 2, done.stderr
        assert "Name another with --variant" in done.stderr

    def test_an_unharmed_artifact_passes(self, classifier: Path) -> None:
        done = _judge(classifier, "fp16", "--max-drop", "0.02", "--json", "--report", classifier / "fp16.html")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["verdict"] == "pass"
        assert {"task", "metrics", "verdict", "reason", "baseline", "gate"} <= set(document)
        assert document["baseline"]["metrics"]["top1"]["value"] == pytest.approx(
            document["metrics"]["top1"]["value"], abs=0.01
        )
        assert "Passed: x86-cpu-openvino-fp16" in (classifier / "fp16.html").read_text("utf-8")

    def test_a_harmed_one_ends_with_3(self, classifier: Path) -> None:
        done = _judge(classifier, "wrong", "--json")
        assert done.returncode == 3, done.stderr
        assert json.loads(done.stdout)["verdict"] == "fail"
        assert "error:" in done.stderr
        assert "top1 fell by" in done.stderr
        assert "Traceback" not in done.stderr

    def test_too_few_samples_are_no_pass_and_say_how_many(self, classifier: Path) -> None:
        done = _judge(classifier, "fp32", *OTHER, "--max-drop", "0.002")
        assert done.returncode == 3, done.stderr
        assert "is not proven" in done.stderr
        assert "Give 1500 samples in all" in done.stderr
        assert "x86-cpu-openvino-fp32 (baseline)" in done.stdout

    def test_agreement_needs_no_labels(self, classifier: Path) -> None:
        pictures = classifier / "pictures"
        pictures.mkdir()
        for place, path in enumerate(sorted((classifier / "data").rglob("*.png"))):
            (pictures / f"{place}.png").write_bytes(path.read_bytes())
        options = ("--data", pictures, "--unlabelled", "--json")
        done = _judge(classifier, "fp16", *options)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["metrics"]["top1_agreement"]["value"] > 0.98
        assert _judge(classifier, "wrong", *options).returncode == 3

    def test_a_variant_of_the_same_bundle(self, classifier: Path) -> None:
        bundle, name = classifier / "fp32.edgebundle", "x86-cpu-openvino-fp32"
        command = ("-m", "edgesdk", "evaluate", bundle, "--data", classifier / "data", "--baseline", name)
        done = _run(*command, *OTHER, "--report", f"{classifier / 'pages'}/")
        assert done.returncode == 0, done.stderr
        assert "pass: top1 did not change" in done.stdout
        assert f"baseline: {name}" in done.stderr
        page = classifier / "pages/generic-onnx-onnxruntime-fp32.html"
        assert page.is_file()
        assert page.name in done.stderr
        assert "float model" not in page.read_text("utf-8").lower()

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--max-drop", "0.01"), "only one is given"),
            (("--unlabelled",), "only one is given"),
            (("--disturbance", "jpeg"), "Add --robustness"),
            (("--robustness", "--disturbance", "rain"), "no disturbance 'rain'"),
            (("--robustness", "--baseline", "x86-cpu-openvino-fp32", *OTHER), "--baseline compares two"),
            (("--baseline", "no-such-variant"), "no-such-variant"),
            (("--baseline", "x86-cpu-openvino-fp32"), "the judged variant are the same"),
            (("--baseline", "x86-cpu-openvino-fp32", *OTHER, "--report", "/dev/null/x.html"), "cannot be written"),
            (("--baseline", "x86-cpu-openvino-fp32", *OTHER, "--max-drop", "2"), "max-drop must lie between 0 and 1"),
        ],
    )
    def test_what_makes_no_sense_ends_with_2(self, classifier: Path, options: tuple[str, ...], says: str) -> None:
        bundle = classifier / "fp32.edgebundle"
        done = _run("-m", "edgesdk", "evaluate", bundle, "--data", classifier / "data", *options)
        assert done.returncode in ({4} if "no-such-variant" in options else {2}), done.stderr
        assert says in done.stderr


class TestAllFigures:
    def test_a_card_has_the_figures_of_its_float_variant(self, classifier: Path, root: Path) -> None:
        """PyTorch and an artifact by the same code: equal but for rounding."""
        cards = []
        for model in (root / "examples/digits/classifier.yaml", classifier / "fp32.edgebundle"):
            done = _run("-m", "edgesdk", "evaluate", model, "--data", classifier / "data", "--json")
            assert done.returncode == 0, done.stderr
            cards.append(json.loads(done.stdout))
        torch_card, variant = cards
        assert torch_card["runtime"] == "pytorch"
        assert (
            set(torch_card["metrics"])
            == set(variant["metrics"])
            >= {
                "top1",
                "balanced_accuracy",
                *(f"{name}_{mean}" for name in ("precision", "recall", "f1") for mean in ("micro", "macro")),
                "roc_auc",
                "ece",
            }
        )
        for name, figure in torch_card["metrics"].items():
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["value"] == pytest.approx(variant["metrics"][name]["value"], abs=0.02), name
        assert set(variant["per_class"]["7"]) == {"precision", "recall", "f1", "roc_auc"}
        assert sum(map(sum, variant["confusion"]["counts"])) == 320
        assert sum(one["n"] for one in variant["reliability"]) == 320

    def test_a_card_as_the_baseline(self, classifier: Path, root: Path) -> None:
        card = root / "examples/digits/classifier.yaml"
        done = _run(
            *("-m", "edgesdk", "evaluate", classifier / "fp16.edgebundle", "--data", classifier / "data"),
            *("--baseline", card, "--max-drop", "0.02"),
        )
        assert done.returncode == 0, done.stderr
        assert "baseline: classifier.yaml, run by pytorch" in done.stderr
        assert "pass:" in done.stdout

    def test_robustness_with_its_page(self, classifier: Path) -> None:
        options = ("--robustness", "--disturbance", "noise", "--disturbance", "shift", "--json")
        page = classifier / "robustness.html"
        done = _run(
            *("-m", "edgesdk", "evaluate", classifier / "fp32.edgebundle", "--data", classifier / "data"),
            *(*options, "--report", page),
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)["robustness"]
        assert [curve["disturbance"] for curve in found["curves"]] == ["noise", "shift"]
        noise = [point["value"] for point in found["curves"][0]["points"]]
        assert found["original"]["value"] > noise[-1] + 0.1
        text = page.read_text("utf-8")
        assert all(title in text for title in ("Confusion matrix", "Reliability", "ROC", "Robustness", "shift"))
        fetched = re.findall(r'(?:src|xlink:href|[^:]href)="([^"#]+)"', text)
        assert [address for address in fetched if not address.startswith("data:")] == []


def test_unharmed_real_artifacts_pass_200_of_200_samples(classifier: Path, root: Path) -> None:
    """The trained sample classifier in PyTorch against its float32 and float16 artifacts: every sample of 310 passes."""
    dataset = open_dataset(classifier / "data", task="classify", labels=tuple("0123456789"))
    answers = {}
    for precision in ("fp32", "fp16"):
        with load_model(classifier / f"{precision}.edgebundle") as model:
            answers[precision] = collect(model, paths_of(dataset))
    source = resolve_source(root / "examples/digits/classifier.yaml")
    reference = open_reference(source)
    float_model = Predictor(reference.run, reference.inputs, reference.outputs, source.card, source.card_file.labels)
    before = collect(float_model, paths_of(dataset))
    for precision, after in answers.items():
        passed = 0
        for seed in range(200):
            places = np.random.default_rng(seed).choice(len(dataset), 310, replace=False).tolist()
            part = Dataset(dataset.task, dataset.labels, tuple(dataset.samples[i] for i in places))
            passed += AccuracyGate(part).judge_answers("a", before.only(places), after.only(places)).passed
        assert passed == 200, precision
