"""The programs that are measured, as processes: started together, begun together once all are loaded, never left behind."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from pipeline.contestants import Contestant, variables

_LOADED_WITHIN_S = 120.0


def started(contestant: Contestant, words: Sequence[str], log: IO[str], cache: Path) -> subprocess.Popen[str]:
    """Start one; what it says goes to `log`, and what it keeps to the folder `cache`."""
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**variables(contestant), "XDG_CACHE_HOME": str(cache)},
    )


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Any:
    """See to it that it has ended."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def await_ready(programs: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until each said that it is loaded.

    Raises:
        TimeoutError: one ended before, or takes too long.
    """
    deadline = time.monotonic() + _LOADED_WITHIN_S
    for program in programs:
        assert program.stdout is not None  # noqa: S101  (it was asked for)
        pipe, said = program.stdout.fileno(), b""
        # Some of the libraries greet on standard output first.
        while b"READY\n" not in said:
            readable, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(pipe, 4096) if readable else b""
            if not more:
                raise TimeoutError(
                    "it was not loaded in time" if program.poll() is None else "it ended while it loaded"
                )
            said += more


def tell_to_begin(programs: Sequence[subprocess.Popen[str]]) -> None:
    """Let all begin."""
    for program in programs:
        assert program.stdin is not None  # noqa: S101  (it was asked for)
        program.stdin.write("\n")
        program.stdin.flush()


def last_words(text: str) -> str:
    """Return the last line of a log."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "without a word"
