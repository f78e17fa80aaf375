"""Artifacts side by side, as the command and a program put them: timed, measured on pictures, refused where that makes no sense."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import edgesdk
from edgesdk.benchmark.contest import Bounds
from edgesdk.cli.compare import compare
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Runtime
from edgesdk_testkit.labelled_pictures import write_labelled
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN


class TestCommand:
    def _compare(self, capsys: pytest.CaptureFixture[str], *artifacts: str, **options: Any) -> dict[str, Any]:
        compare(list(artifacts), rounds=2, slice_s=0.02, threads=1, json=True, **options)
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    def test_two_bundles_are_compared(
        self, two_bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        small, wide = two_bundles
        page = tmp_path / "report.html"
        found = self._compare(capsys, f"{small}:generic-onnx-onnxruntime-fp32", str(wide), report=page)
        names = [entry["name"] for entry in found["entries"]]
        assert names == [
            "small.edgebundle:generic-onnx-onnxruntime-fp32",
            "wide.edgebundle:generic-onnx-onnxruntime-fp32",
            "wide.edgebundle:rpi5-litert-fp32",
        ]
        assert found["choice"]["name"] == names[0]
        assert found["entries"][0]["front"]
        assert all(entry["ms"] > 0 and entry["rss_bytes"] > 0 for entry in found["entries"])
        text = page.read_text("utf-8")
        assert "<svg" in text
        assert f"Take {names[0]}" in text
        assert "http" not in text.split("<svg")[0]

    def test_nothing_within_the_limits_is_a_failed_gate(
        self, two_bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(typer.Exit) as ended:
            self._compare(capsys, str(two_bundles[0]), max_bytes="1B")
        assert ended.value.exit_code == 3
        document = json.loads(capsys.readouterr().out)
        assert document["choice"]["name"] is None
        assert all("--max-bytes" in entry["misses"][0] for entry in document["entries"])

    def test_a_program_compares_a_targets_variants(self, two_bundles: tuple[Path, Path]) -> None:
        lines: list[str] = []
        bounds = Bounds(rss_bytes=2 << 30)
        found = edgesdk.compare(
            two_bundles, target="rpi5", bounds=bounds, threads=1, rounds=2, slice_s=0.02, progress=lines.append
        )
        assert [entry.name for entry in found.entries] == [f"{p.name}:rpi5-litert-fp32" for p in two_bundles]
        assert {entry.variant.target for entry in found.entries if entry.variant} == {"rpi5"}
        assert not any(entry.misses for entry in found.entries)
        assert found.choice.name == found.entries[0].name == found.front[0]
        assert found.figures is None
        assert lines
        assert found.to_json()["threads"] == 1

    def test_what_a_program_asks_for_is_checked(self, two_bundles: tuple[Path, Path]) -> None:
        with pytest.raises(InputError, match="A limit on a figure needs figures"):
            edgesdk.compare(two_bundles, bounds=Bounds(least={"top1": 0.5}))
        with pytest.raises(InputError, match="The preference 'beauty' is not known"):
            edgesdk.compare(two_bundles, prefer="beauty")  # type: ignore[arg-type]  # what is not typed may be anything

    def test_a_size_in_words_is_a_limit(
        self, two_bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = self._compare(capsys, f"{two_bundles[0]}:generic-onnx-onnxruntime-fp32", max_rss="2GB")
        assert all(entry["meets_limits"] for entry in found["entries"])

    @pytest.mark.parametrize("size", ["lots", "4 parsecs"])
    def test_a_size_that_is_none_is_refused(self, two_bundles: tuple[Path, Path], size: str) -> None:
        with pytest.raises(InputError, match="--max-bytes"):
            compare([str(two_bundles[0])], max_bytes=size)

    def test_accuracy_is_measured_on_data(
        self, root: Path, digits_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        render = [sys.executable, str(root / "examples/digits/render_eval.py"), "detector", str(tmp_path / "data")]
        subprocess.run([*render, "--count", "10"], check=True, capture_output=True)
        found = self._compare(capsys, str(digits_bundle), data=tmp_path / "data")
        assert len(found["entries"]) == 2
        for entry in found["entries"]:
            assert entry["metric"]["name"] == "ap50"
            assert entry["metric"]["low"] <= entry["metric"]["value"] <= entry["metric"]["high"]
            assert entry["worst_parity_db"] > 60

    def test_models_that_differ_are_told_apart_on_data(
        self, two_bundles: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data = write_labelled(tmp_path / "data", 30)
        page = tmp_path / "report.html"
        found = self._compare(
            capsys, *map(str, two_bundles), target="rpi5", data=data, folds=3, report=page, min_metric=["top1=0.1"]
        )
        small, wide = found["entries"]
        assert small["metrics"]["top1"]["value"] == 1.0
        assert {"f1_macro", "ece", "balanced_accuracy"} <= set(small["metrics"])
        difference = found["differences"][0]
        assert difference["figure"] == "top1"
        assert difference["value"] == pytest.approx(1.0 - wide["metrics"]["top1"]["value"], abs=1e-6)
        assert (difference["better"] == small["name"]) == (difference["p_adjusted"] < 0.05)
        folds = found["folds"][small["name"]]["top1"]
        assert folds == {"mean": 1.0, "sd": 0.0, "folds": [1.0, 1.0, 1.0]}
        text = page.read_text("utf-8")
        assert all(heading in text for heading in ("All figures", "Which differ by more than chance", "Over folds"))

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"folds": 3}, "Folds need figures"),
            ({"min_metric": ["top1"]}, "no limit"),
            ({"prefer": "beauty"}, "not known"),
            ({"prefer": "metric"}, "To prefer the metric needs figures"),
            ({"folds": 1}, "divides nothing"),
            ({"min_metric": ["top2=0.5"]}, "A limit on a figure needs figures"),
        ],
        ids=["folds", "limit", "prefer", "metric", "one-fold", "no-data"],
    )
    def test_options_that_do_not_go_together_are_refused(
        self, two_bundles: tuple[Path, Path], options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(InputError, match=said):
            compare([str(two_bundles[0])], **options)

    @pytest.mark.parametrize("drop", [5.0, -0.1, float("nan")])
    def test_a_drop_that_is_no_fraction_is_refused(self, two_bundles: tuple[Path, Path], drop: float) -> None:
        with pytest.raises(InputError, match="max-drop must lie between 0 and 1"):
            compare([str(two_bundles[0])], max_drop=drop)

    def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(
        self, two_bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgesdk.comparison.compare._timed", lambda *_: pytest.fail("it was measured"))
        (tmp_path / "file").write_text("")
        for report in (tmp_path, tmp_path / "file/report.html"):
            with pytest.raises(InputError, match=r"folder|cannot be written"):
                compare([str(two_bundles[0])], report=report)

    def test_a_figure_that_there_is_not_is_refused_before_anything_runs(
        self, two_bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgesdk.comparison.compare._timed", lambda *_: pytest.fail("it was measured"))
        with pytest.raises(InputError, match="no figure 'top2' here"):
            compare([str(two_bundles[0])], data=write_labelled(tmp_path / "data", 5), min_metric=["top2=0.5"])

    def test_data_does_not_fit_two_tasks(self, two_bundles: tuple[Path, Path], tmp_path: Path) -> None:
        other = write_tiny_bundle(tmp_path / "o.edgebundle", CNN, (("rpi5", Runtime.LITERT),), labels=tuple("abcde"))
        with pytest.raises(InputError, match="different tasks or labels"):
            compare([str(two_bundles[0]), str(other)], data=tmp_path)
