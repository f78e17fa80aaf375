"""50,000 frames of `benchmarks/frames_memory.py`, in a process of its own, and the control that leaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system
PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks/frames_memory.py"


@pytest.mark.parametrize(("leak_bytes", "code"), [(0, 0), (200, 1)])
def test_memory_does_not_grow_with_the_frames(leak_bytes: int, code: int) -> None:
    words = [sys.executable, str(PROGRAM), "--frames", "50000", "--leak-bytes", str(leak_bytes), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert json.loads(done.stdout)["frames"] == 50_000
