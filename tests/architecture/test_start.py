"""What is imported when: the command's help at once, the device side without anything heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "tensorflow", "onnx", "onnxruntime", "openvino", "litert_torch", "cv2", "pydantic", "numpy")


def _modules_after(code: str) -> set[str]:
    program = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_edgesdk_imports_nothing_heavy() -> None:
    assert not _modules_after("import edgesdk") & set(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    code = "import contextlib, io\nfrom edgesdk.cli.app import run\nwith contextlib.redirect_stdout(io.StringIO()): run(['--help'])"
    assert not _modules_after(code) & set(HEAVY)


def test_embedding_needs_no_mqtt_and_no_torch() -> None:
    found = _modules_after("import edgesdk\nedgesdk.Pipeline, edgesdk.load")
    assert not found & {"paho", "torch", "onnx", "gmqtt", "typer", "rich"}


def test_the_agent_needs_no_workstation_package() -> None:
    found = _modules_after("import edgesdk_agent.main, edgesdk_agent.agent, edgesdk_agent.link.link")
    assert not found & {"torch", "onnx", "typer", "rich", "gmqtt", "edgesdk", "edgesdk_converters"}


@pytest.mark.parametrize(
    "command", ["convert", "bundle", "card", "targets", "evaluate", "run", "fleet", "config", "doctor", "agent"]
)
def test_every_command_has_help(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", command, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
