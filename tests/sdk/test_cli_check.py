"""`edgesdk check`: verdicts, exit codes, JSON, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgesdk.cli.check import check
from edgesdk_targets.errors import InputError, UnknownTarget

ROOT = Path(__file__).resolve().parents[2]
CLASSIFIER = str(ROOT / "examples/digits/classifier.yaml")


def _run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(check)
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_a_model_that_fits() -> None:
    code, out = _run(CLASSIFIER, "--target", "rpi5", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["fits"] is True
    assert told["model"]["macs"] > 1e5
    assert told["model"]["parameters"] > 1e3
    assert [fit["target"] for fit in told["targets"]] == ["rpi5"]
    assert told["targets"][0]["runtime"] == "litert"
    assert told["targets"][0]["verdict"] == "fits"


def test_the_table_shows_verdict_work_and_memory() -> None:
    code, out = _run(CLASSIFIER, "--target", "x86-cpu", "--precision", "int8", "--precision", "fp32")
    assert code == 0
    for expected in ("Parameters", "MACs: Conv", "alive at once", "x86-cpu", "openvino", "int8", "fp32", "fits"):
        assert expected in out


def test_a_target_that_is_too_small_ends_with_1(tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text(
        "name: thimble\nsummary: A board of 64 kB\narch: aarch64\nruntimes: [onnxruntime]\n"
        "precisions: {onnxruntime: [fp32]}\ndefault_precision: fp32\nmemory_bytes: 64 KiB\nmax_bundle_bytes: 8 KiB\n"
        "cpu: {model: small}\nplatforms:\n  - {id: x, name: X, python: '3.12', glibc: '2.39'}\n"
    )
    code, out = _run(CLASSIFIER, "--target", str(board))
    assert code == 1
    assert "does not fit" in out
    assert "thimble takes bundles up to" in out
    assert "thimble has 0.1 MB" in out


def test_wrong_names_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UnknownTarget):
        _run(CLASSIFIER, "--target", "rpi55")
    with pytest.raises(InputError):
        _run(str(tmp_path / "absent.onnx"), "--target", "rpi5")
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x07nothing")
    with pytest.raises(InputError):
        _run(str(tmp_path / "bad.onnx"), "--target", "rpi5")
