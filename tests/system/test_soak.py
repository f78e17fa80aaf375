"""`edgesdk soak` as a command, short: a healthy agent passes, and one whose model leaks fails by its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk_testkit.seeded_soak_faults import SEEDED_FAULTS, soak_with

pytestmark = pytest.mark.system


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
    # The other seeded faults, and their controls, take minutes: benchmarks/soak_faults.py.
    fault = SEEDED_FAULTS["leaky model"]
    lines = soak_with(fault, digits_bundle, tmp_path)
    assert {line.check for line in lines if line.outcome == "fail"} == fault.found_by, lines
