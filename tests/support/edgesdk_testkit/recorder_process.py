"""The real recorder as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from typing_extensions import Self

from edgesdk_testkit.brokers import PATIENCE_S


class RecorderProcess:
    """`edgesdk fleet record …`; ready when entered, and never left running."""

    def __init__(self, url: str, db: Path | str, *arguments: str) -> None:
        command = [sys.executable, "-m", "edgesdk", "fleet", "record", "--broker", url, "--db", str(db), "--json"]
        self._process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.log = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self.wait_ready()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait_ready(self) -> Self:
        """Wait until it says that it records, or has ended."""
        assert self._ready.wait(PATIENCE_S), self.log
        return self

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._close()

    def finish(self, number: signal.Signals | None = signal.SIGINT) -> tuple[int, dict[str, Any]]:
        """Stop it and return the exit code and the summary (empty after an error)."""
        if number is not None:
            self.send(number)
        assert self._process.stdout is not None
        output = self._process.stdout.read()
        code = self._process.wait(PATIENCE_S)
        self._close()
        return code, json.loads(output) if output.strip() else {}

    def _close(self) -> None:
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log += line
            if line.startswith("Records "):
                self._ready.set()
        self._ready.set()
