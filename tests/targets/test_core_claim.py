"""Two real processes: the second does not pin, and pins again when the first has gone, however it went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgesdk_targets.core_claim import claim_cores

_HOLDER = """
import sys, time
from pathlib import Path
from edgesdk_targets.core_claim import claim_cores
claim = claim_cores([int(core) for core in sys.argv[2].split(",")], folder=Path(sys.argv[1]))
print("held" if claim else "refused", flush=True)
sys.stdin.readline()
if claim:
    claim.release()
print("released", flush=True)
sys.stdin.readline()
"""
Holder = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """Start processes that claim cores; all have ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(cores: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _HOLDER, str(tmp_path), cores]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _go_on(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return _said(process)


def test_a_second_process_finds_the_cores_taken_and_says_so(
    holder: Holder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = holder("0,1")
    assert _said(first) == "held"
    second = holder("1")
    assert _said(second) == "refused"
    with caplog.at_level("INFO"):
        assert claim_cores([0, 1], folder=tmp_path) is None
    assert "Core 0 is pinned by another process" in caplog.text
    # Other cores are free, and what was refused kept nothing.
    assert _said(holder("2,3")) == "held"


def test_the_claim_is_given_back(holder: Holder, tmp_path: Path) -> None:
    first = holder("0")
    assert _said(first) == "held"
    assert _go_on(first) == "released"
    with claim_cores([0], folder=tmp_path) or pytest.fail("refused") as claim:
        assert claim.cores == (0,)
    assert claim.cores == ()


def test_a_process_that_is_killed_holds_nothing(holder: Holder, tmp_path: Path) -> None:
    first = holder("0")
    assert _said(first) == "held"
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    assert claim_cores([0], folder=tmp_path) is not None


def test_all_or_none(tmp_path: Path) -> None:
    taken = claim_cores([1], folder=tmp_path)
    assert taken is not None
    assert claim_cores([0, 1, 2], folder=tmp_path) is None
    # Core 0 was locked before core 1 was found taken.
    assert claim_cores([0, 2], folder=tmp_path) is not None


def test_a_second_model_of_one_process_does_not_pin_either(tmp_path: Path) -> None:
    first = claim_cores(folder=tmp_path)
    assert first is not None
    assert first.cores == tuple(sorted(os.sched_getaffinity(0)))
    assert claim_cores(folder=tmp_path) is None


def test_a_place_that_cannot_be_written_pins_nothing(tmp_path: Path) -> None:
    assert claim_cores([0], folder=tmp_path / "absent") is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "victim"
    (tmp_path / "edgesdk-core-0.lock").symlink_to(target)
    assert claim_cores([0], folder=tmp_path) is None
    assert not target.exists()


def test_a_file_of_another_user_is_locked_though_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "edgesdk-core-0.lock"
    path.touch(0o444)
    first = claim_cores([0], folder=tmp_path)
    assert first is not None
    assert claim_cores([0], folder=tmp_path) is None
