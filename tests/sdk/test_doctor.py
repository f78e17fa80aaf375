"""`doctor` tells what is there, what is missing and what is broken, each with the line that mends it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk import doctor
from edgesdk.cli.app import run
from edgesdk.doctor import Finding, examine

CRASHES = {
    "import os\nos.abort()\n": "killed by signal 6",
    "raise ImportError('libGL.so.1: cannot open shared object file')\n": "libGL.so.1",
    "import sys\nsys.exit(3)\n": "fails at import",
}


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that hides modules from the search, as if they were not installed."""
    is_there = doctor._is_there

    def hide(*modules: str) -> None:
        monkeypatch.setattr(doctor, "_is_there", lambda module: module not in modules and is_there(module))

    monkeypatch.setattr(doctor, "_broken", lambda _: "")
    return hide


def test_everything_here_is_found_with_its_version(without: object) -> None:
    findings = by_name(examine())
    assert findings["Python"].state == "ok"
    for name in ("opencv-python-headless", "paho-mqtt", "onnxruntime", "torch", "gmqtt"):
        finding = findings[name]
        assert (finding.state, finding.mend) == ("ok", "")
        assert finding.version == importlib.metadata.version(name)


@pytest.mark.parametrize(
    ("module", "name", "line"),
    [
        ("cv2", "opencv-python-headless", "pip install 'edgesdk[agent]'"),
        ("paho.mqtt", "paho-mqtt", "pip install 'edgesdk[agent]'"),
        ("onnxruntime", "onnxruntime", "pip install 'edgesdk[onnx]'"),
        ("openvino", "openvino", "pip install 'edgesdk[openvino]'"),
        ("torch", "torch", "pip install 'edgesdk[torch]'"),
        ("gmqtt", "gmqtt", "pip install 'edgesdk[fleet]'"),
    ],
)
def test_what_is_missing_comes_with_its_pip_line(without: object, module: str, name: str, line: str) -> None:
    without(module)
    finding = by_name(examine())[name]
    assert (finding.state, finding.mend) == ("missing", line)


def test_every_pip_line_names_an_extra_that_exists(root: Path) -> None:
    import tomllib

    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for _, _, extra in doctor._PACKAGES:
        assert extra in extras


def test_the_second_choice_of_a_runtime_counts(without: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_is_there", lambda module: module == "tflite_runtime")
    finding = by_name(examine())["tflite-runtime"]
    assert (finding.state, finding.version) == ("ok", "from the system")


@pytest.mark.parametrize(("broker", "stands_in"), [("iotcore", True), ("nothing", False)])
def test_a_missing_broker_is_mended_or_replaced(
    without: object, monkeypatch: pytest.MonkeyPatch, broker: str, stands_in: bool
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(doctor, "_is_there", lambda module: module == broker)
    finding = by_name(examine())["mosquitto (broker)"]
    assert finding.state == "missing"
    assert (finding.version == "iotcore stands in", finding.mend == "") == (stands_in, stands_in)
    assert stands_in or "apt install mosquitto" in finding.mend


def _doctor(folder: Path) -> dict[str, dict[str, str]]:
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", "doctor", "--json"], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}


@pytest.mark.parametrize("code", CRASHES)
def test_a_package_that_crashes_at_import_is_broken(tmp_path: Path, code: str) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(code)
    found = _doctor(tmp_path)
    broken = found["onnxruntime"]
    assert broken["state"] == "broken"
    assert CRASHES[code] in broken["version"]
    assert broken["mend"] == "pip install --force-reinstall onnxruntime"
    assert found["openvino"]["state"] == "ok", "its neighbours are still looked at"


def test_a_parent_package_that_raises_does_not_stop_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "paho").mkdir()
    (tmp_path / "paho" / "__init__.py").write_text("raise RuntimeError('half installed')\n")
    assert _doctor(tmp_path)["Python"]["state"] == "ok"


def test_a_package_that_hangs_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_module.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "_PROBE_TIMEOUT_S", 0.3)
    assert doctor._broken("slow_module") == "hangs at import"


def test_a_good_package_is_not_broken() -> None:
    """Negative control of the probes."""
    assert doctor._broken("json") == ""


def test_the_table_shows_brackets_as_they_are(
    without: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    without("onnxruntime")
    monkeypatch.setattr(doctor, "_broken", lambda module: "[Errno 2] no such file" if module == "openvino" else "")
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "pip install 'edgesdk[onnx]'" in out
    assert "[Errno 2] no such file" in out
    assert "target" in out.splitlines()[0]
