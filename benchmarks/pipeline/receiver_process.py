"""The receiver in a process of its own: it counts what arrives, so that the clock is the same for all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import Self


class ReceiverProcess:
    """The receiver's process, and the words to it; use it in a `with` statement.

    Args:
        broker: `host:port`.
    """

    def __init__(self, broker: str) -> None:
        self._command = [sys.executable, str(Path(__file__).with_name("receiver.py")), broker]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, pids: Sequence[int]) -> None:
        self._tell(json.dumps(list(pids)))
        self._answer()

    def await_first(self) -> bool:
        self._tell("first")
        return bool(json.loads(self._answer()))

    def end(self) -> dict[str, Any]:
        self._tell("")
        found: dict[str, Any] = json.loads(self._answer())
        return found

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101  (it was asked for)
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None  # noqa: S101  (it was asked for)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the receiver ended")
        return line
