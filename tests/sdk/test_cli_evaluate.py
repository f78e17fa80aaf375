"""`edgesdk evaluate` on rendered data of the sample models, through the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesdk_converters.convert import convert

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
