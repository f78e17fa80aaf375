"""Each injection against a real process of the test: what it breaks is broken, and mended again."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgesdk.soak.child import Child
from edgesdk.soak.injections.catalogue import INJECTIONS, injections_named
from edgesdk.soak.injections.clock_jump import ClockJump
from edgesdk.soak.injections.disk_full import DiskFull
from edgesdk.soak.injections.mem_limit import MemLimit
from edgesdk.soak.injections.slow_inference import SlowInference
from edgesdk.soak.process_figures import descendants, figures_of
from edgesdk_targets.errors import DeviceError, InputError
from edgesdk_testkit.required import missing

# Writes a line each 10 ms, takes 64 MB and gives them back, and notes in a file of fixed size what it met.
WRITER = """
import sys, time
print("ready", flush=True)
while True:
    try:
        block = bytearray(64 << 20)
        del block
        with open(sys.argv[1], "a") as out:
            out.write("line\\n")
        word = "fine"
    except OSError as error:
        word = f"errno {error.errno}"
    except MemoryError:
        word = "MemoryError"
    try:
        sys.stderr.write(word + "\\n")
    except OSError:
        pass
    time.sleep(0.01)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Child]:
    child = Child((sys.executable, "-c", WRITER, str(tmp_path / "out")), tmp_path / "log", ready="ready")
    child.start()
    yield child
    child.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def says(folder: Path, word: str) -> Callable[[], bool]:
    return lambda: (folder / "log").read_text().splitlines()[-1:] == [word]


def test_the_names_are_those_that_are_documented() -> None:
    assert set(INJECTIONS) == {
        "camera-freeze", "rtsp-drop", "broker-kill", "disk-full", "clock-jump", "sigkill", "slow-inference", "mem-limit",
    }  # fmt: skip
    assert [one.name for one in injections_named("sigkill, disk-full,sigkill")] == ["sigkill", "disk-full"]
    assert len(injections_named("all")) == 8
    assert injections_named("") == []
    with pytest.raises(InputError, match="earthquake"):
        injections_named("earthquake")


def test_memory_is_refused_while_it_lasts(writer: Child, tmp_path: Path) -> None:
    field: Any = SimpleNamespace(agent=writer)
    until(says(tmp_path, "fine"))
    limit = MemLimit()

    def is_refused() -> bool:
        # Begun while the writer had its block, it would leave room for one for ever.
        limit.begin(field)
        return says(tmp_path, "MemoryError")()

    until(is_refused)
    limit.end(field)
    until(says(tmp_path, "fine"))


def test_no_file_grows_while_the_disk_is_full(writer: Child, tmp_path: Path) -> None:
    field: Any = SimpleNamespace(agent=writer)
    until(says(tmp_path, "fine"))
    full = DiskFull()
    full.begin(field)
    assert resource.prlimit(writer.pid, resource.RLIMIT_FSIZE)[0] == 0
    sizes = [-1, (tmp_path / "out").stat().st_size]
    while sizes[-1] != sizes[-2]:
        time.sleep(0.1)
        sizes.append((tmp_path / "out").stat().st_size)
    assert writer.pid, "it lives on"
    full.end(field)
    until(lambda: (tmp_path / "out").stat().st_size > sizes[-1])


def test_a_slow_agent_gets_a_part_of_its_time_and_all_of_it_again(writer: Child) -> None:
    field: Any = SimpleNamespace(agent=writer)

    def is_stopped() -> bool:
        return Path(f"/proc/{writer.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    slow = SlowInference()
    slow.begin(field)
    until(is_stopped)
    slow.end(field)
    assert not is_stopped()


def test_a_child_is_frozen_killed_and_started_again_with_its_own(tmp_path: Path) -> None:
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print('ready', flush=True); p.wait()"
    child = Child((sys.executable, "-c", script), tmp_path / "log", ready="ready")
    child.start()
    first, (sleep,) = child.pid, descendants(child.pid)
    child.signal(signal.SIGSTOP)
    assert figures_of(first) is not None
    child.kill()
    assert child.pid == 0
    until(lambda: figures_of(sleep) is None)
    child.start()
    assert child.pid not in {0, first}
    child.stop(5.0)
    broken = Child((sys.executable, "-c", "raise SystemExit(3)"), tmp_path / "log", ready="ready")
    with pytest.raises(DeviceError, match="does not begin"):
        broken.start()


# Notes how far its wall clock is ahead of what the test gives as the time, and what its monotonic clock and its sleeps say.
CLOCKS = """
import datetime, sys, threading, time
print("ready", flush=True)
while True:
    began = time.monotonic()
    time.sleep(0.01)
    threading.Event().wait(0.01)
    slept = 0.02 <= time.monotonic() - began < 10
    ahead = round((time.time() - began - float(sys.argv[1])) / 60)
    same = abs(datetime.datetime.now().timestamp() - time.time()) < 10
    sys.stderr.write(f"{ahead} minutes, slept {slept}, same {same}\\n")
"""


def test_the_wall_clock_jumps_and_back_and_nothing_else_does(tmp_path: Path) -> None:
    field: Any = SimpleNamespace(folder=tmp_path, environment=dict(os.environ))
    jump = ClockJump()
    if why := jump.missing(field):
        missing(why)
    between = time.time() - time.monotonic()
    child = Child(
        (sys.executable, "-c", CLOCKS, str(between)), tmp_path / "log", ready="ready", environment=field.environment
    )
    child.start()
    try:
        until(says(tmp_path, "0 minutes, slept True, same True"))
        jump.begin(field)
        until(says(tmp_path, "60 minutes, slept True, same True"))
        jump.end(field)
        until(says(tmp_path, "0 minutes, slept True, same True"))
    finally:
        child.kill()
