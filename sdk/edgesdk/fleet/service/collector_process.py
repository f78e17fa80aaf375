"""The collector as a process of its own beside the service: neither waits for the other, neither takes the other down.

It is started again when it ends, later and later while it keeps ending. Its standard input is a pipe of ours: should we
be killed, it sees the end of it and stops in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
# One that ran for so long had started well.
_WELL_S = 30.0
_STOP_S = 15.0
_KEPT_LINES = 5
# How a line begins that a part of the collector logs: it says something of its work, and not whether it records.
LOGGED = "log: "
_log = logging.getLogger("edgesdk.fleet.service")
_STARTING = "The collector is starting."
# In this time nobody need be alarmed by it.
_START_S = 10.0


def unrecorded(told: Mapping[str, Any]) -> str:
    """Say why nothing is recorded, as a collector's process told; empty while it is, and while it starts for the first time."""
    problem = str(told.get("problem") or "")
    first = problem == _STARTING and not told.get("restarts")
    return "" if first and time.time() - float(told.get("since") or 0) < _START_S else problem


class CollectorProcess:
    """Runs `edgesdk fleet record` with some arguments, and tells how it is.

    Args:
        arguments: after `fleet record`; environment: more of it, such as the broker's password.
        told: is kept up to date: `problem`, `since` (seconds since 1970), `restarts`.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], told: dict[str, Any]) -> None:
        self._command = [sys.executable, "-m", "edgesdk.cli.collector_child", *arguments]
        self._environment = {**os.environ, **environment}
        self._told = told
        self._told["restarts"] = 0
        self._tell(_STARTING)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep it running until told to stop; then let it commit what it has."""
        pause = _FIRST_PAUSE_S
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            self._tell(_STARTING)
            last = await self._once(stop)
            if stop.is_set():
                return
            self._tell(f"The collector ended: {last or 'it said nothing'}.")
            self._told["restarts"] += 1
            if asyncio.get_running_loop().time() - began > _WELL_S:
                pause = _FIRST_PAUSE_S
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _once(self, stop: asyncio.Event) -> str:
        # Its own session: Ctrl-C in a terminal is for us, and we end it in order.
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, env=self._environment, start_new_session=True,
        )  # fmt: skip
        lines: list[str] = []
        reading = asyncio.create_task(self._read(process, lines))
        ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(ended), _STOP_S)
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await ended
            await reading
        return lines[-1] if lines else ""

    async def _read(self, process: asyncio.subprocess.Process, lines: list[str]) -> None:
        assert process.stderr is not None  # noqa: S101  (it is a pipe)
        while raw := await process.stderr.readline():
            line = raw.decode("utf-8", "replace").strip()
            if not line:
                continue
            if line.startswith(LOGGED):
                _log.warning("collector: %s", line.removeprefix(LOGGED))
                continue
            lines.append(line)
            del lines[:-_KEPT_LINES]
            # Its notes: what keeps it from recording, and when nothing does any more. That it records is said at the
            # start, and true then unless a problem was said before.
            if line.startswith("Connected to ") or (line.startswith("Records ") and self._told["problem"] == _STARTING):
                self._tell("")
            elif not line.startswith("Records "):
                self._tell(line)

    def _tell(self, problem: str) -> None:
        # Since when nothing is recorded, however the reason for it changes.
        self._told["since"] = (self._told.get("since") or time.time()) if problem else None
        self._told["problem"] = problem
