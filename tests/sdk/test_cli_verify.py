"""`edgesdk verify` and `edgesdk-agent verify`: tables, JSON and exit codes, by the real command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.app import run
from edgesdk.emulate.board import BOARDS, find_board
from edgesdk.emulate.wheels import LOCK
from edgesdk_agent.main import run as run_agent
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import MissingExtra
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wrong_bundle(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample detector with its channels swapped after it was proven."""
    with open_bundle(digits_bundle) as bundle:
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        data = bundle.manifest.model_dump(mode="json", by_alias=True)
    data["preprocess"]["color"] = "bgr"
    path = tmp_path_factory.mktemp("wrong") / "wrong.edgebundle"
    write_bundle(path, Manifest.model_validate(data), files)
    return path


def document(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = run(["verify", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_variant_that_runs_here_is_checked(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, digits_bundle)
    assert code == 0
    assert {"task", "metrics", "verdict"} <= set(found)
    assert (found["task"], found["verdict"], found["metrics"]) == ("detect", "pass", {})
    assert {one["target"]: one["runtime"] for one in found["variants"]} == {
        "generic-onnx": "onnxruntime",
        "x86-cpu": "openvino",
    }
    for one in found["variants"]:
        assert (one["verdict"], one["status"]) == ("pass", "measured")
        assert [stage["verdict"] for stage in one["golden"]["stages"]] == ["pass"] * 5


def test_one_variant_can_be_asked_for(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, by_target = document(capsys, digits_bundle, "--target", "generic-onnx")
    assert [one["target"] for one in by_target["variants"]] == ["generic-onnx"]
    name = by_target["variants"][0]["variant"]
    _, by_name = document(capsys, digits_bundle, "--variant", name)
    assert [one["variant"] for one in by_name["variants"]] == [name]
    assert by_name["skipped"] == []


def test_a_wrong_bundle_ends_with_3_and_names_the_stage(wrong_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, wrong_bundle)
    assert (code, found["verdict"]) == (3, "fail")
    assert {one["golden"]["diverged"] for one in found["variants"]} == {"preprocess"}
    assert run(["verify", str(wrong_bundle)]) == 3
    assert "preprocess diverges" in capsys.readouterr().out


def test_data_are_evaluated_on_as_well(digits_bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    render = [sys.executable, ROOT / "examples/digits/render_eval.py", "detector", tmp_path / "data", "--count", "6"]
    subprocess.run(render, check=True)
    code, found = document(capsys, digits_bundle, "--data", tmp_path / "data", "--target", "x86-cpu")
    assert code == 0
    figure = found["metrics"]["ap50"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert figure["value"] > 0.8
    assert found["variants"][0]["metrics"] == found["metrics"]


def test_a_variant_that_nothing_here_loads_ends_with_4(
    digits_bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with open_bundle(digits_bundle) as bundle:
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        manifest = bundle.manifest
    place = next(name for name in files if name.endswith("model.onnx"))
    files[place] = b"not a model"
    write_bundle(tmp_path / "broken.edgebundle", manifest, files)
    code, found = document(capsys, tmp_path / "broken.edgebundle")
    assert (code, found["verdict"]) == (4, "cannot run")
    verdicts = {one["target"]: one["verdict"] for one in found["variants"]}
    assert verdicts == {"generic-onnx": "cannot run", "x86-cpu": "pass"}
    assert run(["verify", str(tmp_path / "broken.edgebundle"), "--target", "jetson-thor"]) == 4


def dies_of_an_illegal_instruction(package: str, folder: Path) -> None:
    """Write a package that kills whatever process imports it."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n", "utf-8")


def test_a_runtime_that_dies_is_a_row_and_not_the_end(
    digits_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dies_of_an_illegal_instruction("openvino", tmp_path / "site")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    code, found = document(capsys, digits_bundle)
    assert (code, found["verdict"]) == (4, "cannot run")
    rows = {one["target"]: one for one in found["variants"]}
    assert (rows["x86-cpu"]["verdict"], rows["generic-onnx"]["verdict"]) == ("cannot run", "pass")
    assert "illegal instruction (SIGILL)" in rows["x86-cpu"]["problem"]
    assert run_agent(["verify", str(digits_bundle), "--all", "--json"]) == 4
    lines = {one["variant"]: one for one in json.loads(capsys.readouterr().out)["variants"]}
    assert "illegal instruction (SIGILL)" in lines[rows["x86-cpu"]["variant"]]["why"]
    # Left to choose, the agent takes what works.
    assert run_agent(["verify", str(digits_bundle)]) == 0


def test_a_runtime_that_is_there_but_does_not_load_is_a_row(
    digits_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingExtra("openvino", "openvino")

    monkeypatch.setattr("edgesdk_targets.runtimes.openvino.open_session", missing)
    code, found = document(capsys, digits_bundle)
    assert code == 4
    assert {one["target"]: one["verdict"] for one in found["variants"]}["x86-cpu"] == "cannot run"
    assert run_agent(["verify", str(digits_bundle), "--all"]) == 4
    assert "openvino is not installed" in capsys.readouterr().out


def test_an_older_bundle_is_told_to_be_converted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_bundle(tmp_path / "old.edgebundle")
    assert run(["verify", str(path)]) == 1
    said = capsys.readouterr().err
    assert "no golden set" in said
    assert "Convert the model again" in said


@pytest.mark.parametrize(
    "arguments",
    [[], ["--setup"], ["x.edgebundle", "--apt-sources", "list"], ["x.edgebundle", "--emulate", "jetson-orin-nano"]],
)
def test_options_that_do_not_fit_are_usage_errors(arguments: list[str]) -> None:
    assert run(["verify", *arguments]) == 2


def test_an_emulated_board_that_is_not_set_up_says_how(
    digits_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path))
    monkeypatch.setattr("edgesdk.emulate.debian.check_programs", lambda: None)
    assert run(["verify", str(digits_bundle), "--emulate", "rpi5"]) == 2
    said = capsys.readouterr().err
    assert "edgesdk verify --emulate rpi5 --setup" in said
    assert "MB" in said


def test_the_device_verifies_with_the_agent_alone(
    digits_bundle: Path, wrong_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_agent(["verify", str(digits_bundle), "--all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"task", "metrics", "verdict"} <= set(found)
    assert len(found["variants"]) == 2
    assert run_agent(["verify", str(wrong_bundle)]) == 3
    assert "preprocess diverges" in capsys.readouterr().out
    assert run_agent(["verify", str(digits_bundle.with_name("absent.edgebundle"))]) == 1


def test_the_boards_run_what_devices_are_pinned_to() -> None:
    def pins(path: Path) -> set[tuple[str, str]]:
        lines = [line.split()[0] for line in path.read_text("utf-8").splitlines() if "==" in line]
        return {(re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(), line.split("==")[1]) for line in lines}

    assert len(pins(LOCK)) == len(LOCK.read_text("utf-8").splitlines()) - 1
    assert pins(LOCK) <= pins(ROOT / "requirements/device.txt")


def test_a_board_is_found_by_its_alias_and_names_itself() -> None:
    assert find_board("rpi").target in BOARDS
    for board in BOARDS.values():
        assert board.cpuinfo().count("processor") == 4
        assert f"CPU part\t: {board.part:#x}" in board.cpuinfo()
        assert board.midr >> 24 == 0x41
