"""A cascade made of two bundles: calibrated, written, and used as one model by everything that uses models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.bundle_together import cascade, ensemble
from edgesdk.cli.evaluate import evaluate
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import InputError
from edgesdk_targets.golden.check import check_golden
from edgesdk_targets.model import load_model
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.target import Runtime
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, MEAN, STD

VARIANTS = (("generic-onnx", Runtime.ONNXRUNTIME), ("rpi5", Runtime.LITERT))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees its pixels with a wrong mean, one that sees them right, and pictures that the right one labelled."""
    folder = tmp_path_factory.mktemp("cascade")
    off = Preprocess(color="bgr", size=(16, 16), mean=(MEAN - 30,) * 3, std=(STD,) * 3)
    write_tiny_bundle(folder / "poor.edgebundle", CNN, VARIANTS, name="poor", preprocess=off)
    write_tiny_bundle(folder / "good.edgebundle", CNN, VARIANTS, name="good")
    write_labelled(folder / "data", 40)
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "edgesdk", "bundle", "cascade", "poor.edgebundle", "good.edgebundle"]
    options = ["--data", "data", "--min-metric", "0.95", "-o", "both.edgebundle", "--report", "page.html", "--json"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


class TestCascade:
    def test_each_variant_has_its_threshold(self, folder: Path, made: dict[str, Any]) -> None:
        assert {one["variant"] for one in made["calibrated"]} == set(made["variants"])
        for one in made["calibrated"]:
            assert one["accuracy"] >= 0.95
            first, second = one["members"]
            assert first["accuracy"] < one["accuracy"] <= second["accuracy"] == 1.0
            assert 0 < one["share"] < 1
            # The same pixels serve both.
            assert one["prepare_ms"] == 0
        assert "<svg" in (folder / "page.html").read_text("utf-8")
        with open_bundle(folder / "both.edgebundle") as bundle:
            thresholds = [v.together.threshold for v in bundle.manifest.variants if v.together]
        assert thresholds == pytest.approx([one["threshold"] for one in made["calibrated"]], abs=1e-6)

    @pytest.mark.parametrize("variant", ["generic-onnx-onnxruntime-cascade", "rpi5-litert-cascade"])
    def test_the_bundle_proves_itself(self, folder: Path, made: dict[str, Any], variant: str) -> None:
        assert variant in made["variants"]
        with open_bundle(folder / "both.edgebundle") as bundle, load_model(bundle, variant=variant) as model:
            report = check_golden(bundle, model)
        assert report.passed, report

    def test_evaluated_it_is_as_good_as_was_said(
        self, folder: Path, made: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        evaluate(folder / "both.edgebundle", data=folder / "data", variant=made["variants"][0], json=True)
        found = json.loads(capsys.readouterr().out)
        assert found["metrics"]["top1"]["value"] == pytest.approx(made["calibrated"][0]["accuracy"], abs=1e-6)

    def test_a_budget_that_cannot_be_kept_says_how_near_it_comes(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="even where the second model is never asked"):
            cascade(
                str(folder / "poor.edgebundle:rpi5-litert-fp32"),
                str(folder / "good.edgebundle"),
                tmp_path,
                folder / "data",
                max_ms=1e-9,
            )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("changes", "said"),
        [({"labels": tuple("vwxyz")}, "other labels"), ({"task": "embed"}, "no classifier")],
        ids=["labels", "task"],
    )
    def test_what_does_not_go_together_is_refused(
        self, folder: Path, tmp_path: Path, changes: dict[str, Any], said: str
    ) -> None:
        other = write_tiny_bundle(tmp_path / "other.edgebundle", CNN, VARIANTS, **changes)
        with pytest.raises(InputError, match=said):
            cascade(str(folder / "poor.edgebundle"), str(other), tmp_path, folder / "data")

    def test_one_picture_chooses_no_threshold(self, folder: Path, tmp_path: Path) -> None:
        picture = next((folder / "data").rglob("*.png"))
        place = tmp_path / "one" / picture.parent.name
        place.mkdir(parents=True)
        (place / "again.png").write_bytes(picture.read_bytes())
        both = str(folder / "poor.edgebundle:rpi5-litert-fp32"), str(folder / "good.edgebundle")
        with pytest.raises(InputError, match="1 independent picture only"):
            cascade(*both, tmp_path / "both.edgebundle", tmp_path / "one")
        assert not (tmp_path / "both.edgebundle").exists()

    def test_two_budgets_are_refused(self, folder: Path, tmp_path: Path) -> None:
        both = str(folder / "poor.edgebundle"), str(folder / "good.edgebundle")
        with pytest.raises(InputError, match="each choose the threshold"):
            cascade(*both, tmp_path, folder / "data", max_ms=1.0, max_share=0.5)


class TestEnsemble:
    @pytest.mark.parametrize("rule", ["average", "vote"])
    def test_of_one_model_twice_answers_as_that(
        self, folder: Path, tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good = str(folder / "good.edgebundle")
        ensemble([good, good, str(folder / "poor.edgebundle")], tmp_path / "e.edgebundle", rule=rule, json=True)
        assert json.loads(capsys.readouterr().out)["variants"]
        evaluate(tmp_path / "e.edgebundle", data=folder / "data", target="rpi5", json=True)
        value = json.loads(capsys.readouterr().out)["metrics"]["top1"]["value"]
        # Two of three votes are the good one's; in the mean the third may win now and then.
        assert value == 1.0 if rule == "vote" else value > 0.8

    def test_one_alone_is_none(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no ensemble"):
            ensemble([str(folder / "good.edgebundle")], tmp_path)
