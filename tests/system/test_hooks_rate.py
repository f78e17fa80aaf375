"""A pipeline keeps its rate beside slow user code in another process; the figures are made by `benchmarks/hooks.py`.

Ratios within one run, of the better of two tries, with bounds that hold on a machine that is busy with other things.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.alone]

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def rate(rival: str, isolation: str, switch_interval_s: float = 0.0005) -> float:
    path = os.pathsep.join(filter(None, (str(BENCHMARKS), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "hook_load.slice", rival, isolation, str(switch_interval_s), "0.5"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.parametrize("rival", ["2 ms a frame", "hog thread"])
def test_a_process_keeps_user_code_from_the_pipelines_rate(rival: str) -> None:
    shares = []
    for _ in range(2):
        shares.append(rate(rival, "process") / rate("none", "inline"))
        if shares[-1] >= 0.7:
            break
    assert max(shares) >= 0.5, shares


def test_the_measurement_sees_what_a_hog_in_the_same_process_costs() -> None:
    # The negative control: Python's own interval, and a thread that never pauses.
    shares = []
    for _ in range(2):
        shares.append(rate("hog thread", "thread", 0.005) / rate("none", "inline"))
        if shares[-1] < 0.5:
            break
    assert min(shares) < 0.7, shares
