"""What is imported when: the command's help at once, the device side without anything heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk_testkit.tiny_bundles import write_tiny_bundle

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


# What an agent does without until it has its first result, and what brings each of them after all.
OPTIONAL = {
    "sqlite3": "outbox: {path: outbox.sqlite}",
    "edgesdk_agent.delivery.thread": "hooks: [{call: 'json:dumps', isolate: thread}]",
    "edgesdk_agent.events.scene": "events: {rules: [{name: r, kind: label}]}",
    "edgesdk_agent.evidence.snapshots": "pictures: {enabled: true}",
    "edgesdk_agent.frame_data.frame_gate": "frame_data: {drop_black: true}",
    "edgesdk_agent.preview.live_picture": "preview: {listen: '127.0.0.1:0'}",
    "edgesdk_agent.privacy.mask": "privacy: {masks: [{camera: c, polygon: [[0, 0], [1, 0], [1, 1]]}]}",
}
NEVER_BEFORE_A_RESULT = (
    "asyncio", "edgesdk_agent.enrol.renewal", "edgesdk_agent.evidence.clips", "edgesdk_agent.governor.governor",
    "edgesdk_agent.health.monitor", "edgesdk_agent.oversight", "edgesdk_targets.golden.check", "http.server", "psutil",
)  # fmt: skip
_TOLD_WHEN_THE_PIPELINE_STARTS = """
import json, sys
from edgesdk_agent import main
from edgesdk_agent.pipeline.pipeline import Pipeline

start = Pipeline.start

def told(self):
    sys.stderr.write("\\nMODULES" + json.dumps(sorted(sys.modules)) + "\\n")
    return start(self)

Pipeline.start = told
main.main(["run", "--config", sys.argv[1], "--duration", "0.1"])
"""


def _modules_of_a_start(folder: Path, section: str = "") -> set[str]:
    """Return what an agent has loaded when its pipeline starts."""
    bundle, config = folder / "m.edgebundle", folder / "edgesdk.yaml"
    if not bundle.exists():
        write_tiny_bundle(bundle)
    # Nobody listens at that port: an agent starts without its broker, too.
    config.write_text(
        f"bundle: {bundle}\ncameras: [{{name: c, source: 'synthetic:', live: true}}]\npipeline: {{tune: 'off'}}\n"
        f"mqtt: {{url: 'mqtt://127.0.0.1:9', flush_timeout_s: 0}}\n{section}\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", _TOLD_WHEN_THE_PIPELINE_STARTS, str(config)],
        capture_output=True, text=True, check=False, env=environment, cwd=folder,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if line.startswith("MODULES")]
    assert said, done.stderr
    return set(json.loads(said[0].removeprefix("MODULES")))


def test_what_is_not_configured_is_not_loaded_before_the_first_result(tmp_path: Path) -> None:
    found = _modules_of_a_start(tmp_path)
    assert "edgesdk_agent.link.connection" in found, "this is a whole agent"
    assert not found & {*NEVER_BEFORE_A_RESULT, *OPTIONAL}


def test_what_is_configured_is_loaded(tmp_path: Path) -> None:
    # Negative control: the names are right, and the list would see it.
    found = _modules_of_a_start(tmp_path, "\n".join(OPTIONAL.values()))
    assert set(OPTIONAL) <= found


@pytest.mark.parametrize(
    "command", ["convert", "bundle", "card", "targets", "evaluate", "run", "fleet", "config", "doctor", "agent"]
)
def test_every_command_has_help(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", command, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
