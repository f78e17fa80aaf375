"""The real agent as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class AgentProcess:
    """`edgesdk-agent run …`; use it in a `with` statement, which never leaves it running.

    Args:
        before: a command that runs it, and becomes it.
    """

    def __init__(
        self, *arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None,
        before: Sequence[str] = (),
    ) -> None:  # fmt: skip
        command = [*before, sys.executable, "-m", "edgesdk_agent.main", "run", "--json", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=cwd
        )
        self.log = ""

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def finish(self, timeout_s: float = 120.0) -> tuple[int, dict[str, Any]]:
        """Wait for the end and return the exit code and the summary (empty after an error)."""
        output, self.log = self._process.communicate(timeout=timeout_s)
        return self._process.returncode, json.loads(output) if output.strip() else {}
