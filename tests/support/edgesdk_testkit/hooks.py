"""Hooks that a test sends to a process of their own; they tell what they saw through files, named by the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from edgesdk_agent.frame import FrameResult

# The folder into which `note` and its friends write.
NOTES = "EDGESDK_TEST_HOOK_NOTES"

_RAISES_AT, _CRASHES_AT, _HANGS_AT = 3, 5, 7


def note(result: FrameResult) -> None:
    """Write down what arrived: process, frame, result, and what is seen of the picture."""
    image = result.image
    seen = "no picture" if image is None else f"{image.shape} {int(image[0, 0, 0])} {image.flags.writeable}"
    _write(f"{os.getpid()} {result.camera} {result.seq} {result.result.to_json()} {seen}")


def note_with_faults(result: FrameResult) -> None:
    """Raise, crash and hang at known frames; note the others."""
    if result.seq == _RAISES_AT:
        raise ValueError("no 3")
    if result.seq == _CRASHES_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    if result.seq == _HANGS_AT:
        threading.Event().wait()
    note(result)


async def later(result: FrameResult) -> None:
    """Note, once somebody awaits it."""
    note(result)


def crash(result: FrameResult) -> None:
    """End the process each time."""
    os._exit(3)


def hang(result: FrameResult) -> None:
    """Note, and never return."""
    note(result)
    threading.Event().wait()


def start_program(result: FrameResult) -> None:
    """Start a program, ask it to end, and note how it did; start another, note its number, and never return."""
    with subprocess.Popen(["sleep", "600"]) as program:
        program.terminate()
        try:
            ended = program.wait(5)
        except subprocess.TimeoutExpired:
            ended = 0
            program.kill()
    left = subprocess.Popen(["sleep", "600"])
    _write(f"{ended} {left.pid}")
    threading.Event().wait()


def burn_2_ms(result: FrameResult) -> None:
    """Be two milliseconds of pure Python."""
    until = time.perf_counter() + 0.002
    while time.perf_counter() < until:
        pass


def burn_always(result: FrameResult) -> None:
    """Start, with the first frame, a thread that never stops computing."""
    if result.seq == 0:
        threading.Thread(target=_hog, name="hog", daemon=True).start()


not_a_function = np.zeros(1)


def noted(folder: Path) -> list[str]:
    """Return what was written down in a folder, in order."""
    path = folder / "notes"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _write(line: str) -> None:
    with (Path(os.environ[NOTES]) / "notes").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _hog() -> None:
    count = 0
    while True:
        count += 1
