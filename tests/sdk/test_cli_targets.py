"""`edgesdk targets`: list, detail, JSON, unknown names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesdk.cli.app import run
from edgesdk_targets.catalogue import load_targets


@pytest.fixture(autouse=True)
def plain_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("EDGESDK_TARGETS", raising=False)


def test_list_names_every_target_and_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets"]) == 0
    out = capsys.readouterr().out
    for target in load_targets().values():
        line = next(line for line in out.splitlines() if line.strip().startswith(target.name + " "))
        assert " → ".join(map(str, target.runtimes)) in line
        assert (" yes " in line) == target.agent
    assert "Emulated: rpi5" in out


def test_list_fits_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["targets"]) == 0
    out = capsys.readouterr().out
    assert "tensorrt → onnxruntime" in out
    assert "jetson-orin-nano" in out


def test_detail_shows_figures_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "jetson-orin-nano"]) == 0
    out = capsys.readouterr().out
    for expected in ("Cortex-A78AE", "compute capability 8.7", "TensorRT 10.3", "8 GB", "DS-11105-001", "built only"):
        assert expected in out


def test_ambiguous_alias_says_what_was_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "jetson"]) == 0
    assert "taken as jetson-orin-nano" in capsys.readouterr().err


def test_convert_only_target_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "jetson-nano"]) == 0
    assert "Python 3.6" in capsys.readouterr().out


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "--json"]) == 0
    captured = capsys.readouterr()
    listed = json.loads(captured.out)["targets"]
    assert [entry["name"] for entry in listed] == list(load_targets())
    assert captured.err == ""
    assert run(["targets", "rpi5", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert (one["name"], one["runtimes"], one["memory_bytes"]) == ("rpi5", ["litert", "onnxruntime"], 4 * 2**30)


def test_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = load_targets()["rpi5"].model_dump(mode="json") | {"name": "my-pi", "aliases": []}
    path = tmp_path / "my-pi.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    assert run(["targets", str(path)]) == 0
    assert "my-pi" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["my-pi", "my-pi.json", "MY-PI.YAML", "my-pi.yml"])
def test_own_file_in_this_folder_by_any_suffix(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = load_targets()["rpi5"].model_dump(mode="json") | {"name": "own", "aliases": []}
    (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["targets", name]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("own: ")
    assert f"--target {name} -o" in captured.err


def test_a_name_goes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rpi5").write_text("nothing", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["targets", "rpi5"]) == 0
    assert "--target rpi5 -o" in capsys.readouterr().err


def test_unknown_name_suggests_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "rpy5"]) == 2
    captured = capsys.readouterr()
    assert "'rpi5'" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
