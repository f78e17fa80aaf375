"""`edgesdk soak` as a command, short: a healthy agent passes, and one whose model leaks fails by its memory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgesdk.soak.field import Field, FieldSettings
from edgesdk.soak.run import Soak
from edgesdk.soak.verdict import Bounds, verdict

pytestmark = pytest.mark.system

# A megabyte a frame would be noticed by anybody; this is 30 kB.
LEAKS = """
kept = []

def leak(result):
    kept.append(bytearray(30_000))
    return result
"""


def test_a_killed_agent_is_back_and_every_camera_with_it(digits_bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "soak.html"
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", "soak", str(digits_bundle), "--minutes", "0.5", "--inject", "sigkill", "--json",
         "--report", str(report)],
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "pass"
    outcomes = {line["check"]: line["outcome"] for line in told["checks"]}
    assert {outcomes[check] for check in ("age", "recovery", "cameras at the end", "ends")} == {"pass"}
    assert [one["name"] for one in told["injected"]] == ["sigkill"]
    assert "Soak: passed" in report.read_text()


def test_a_leaky_model_makes_it_fail(digits_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "leaky.py").write_text(LEAKS)
    more = {"hooks_path": str(tmp_path), "stages": {"on_result": "leaky:leak"}}
    field = Field(FieldSettings(digits_bundle, cameras=1, fps=30, agent=more), tmp_path)
    recording = Soak(field, [], duration_s=22).run(threading.Event())
    outcomes = {line.check: line.outcome for line in verdict(recording, Bounds())}
    assert outcomes["memory growth"] == "fail", verdict(recording, Bounds())
    assert outcomes["ends"] == "pass"
