"""A process of the soak: started, signalled, killed and started again; it never outlives the soak."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesdk.soak.process_figures import descendants
from edgesdk_targets.errors import DeviceError

_READY_WITHIN_S = 20.0


class Child:
    """One program that is run again and again.

    Args:
        words: the command line.
        log: what it says is appended there.
        ready: a word that its output begins with when it is there; empty does not wait.
        environment: `os.environ` unless given.
        out: what it prints is kept there, of its last start; with the log unless given.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        *,
        ready: str = "",
        environment: Mapping[str, str] | None = None,
        out: Path | None = None,
    ) -> None:
        self._words = tuple(words)
        self._log = log
        self._ready = ready
        self._environment = environment
        self._out = out
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its number; 0 while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs, or was never started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            DeviceError: it does not begin.
        """
        self.kill()
        with (
            self._log.open("ab") as said,
            (self._out or self._log).open("ab" if self._out is None else "wb") as printed,
        ):
            # The parent's end of standard input closes with the parent, whatever ends that.
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self._ready else printed,
                stderr=said,
                env=self._environment,
                start_new_session=True,
            )
        if self._ready and not self._is_ready():
            self.kill()
            raise DeviceError(f"`{' '.join(self._words[:3])} …` does not begin.", hint=f"See {self._log}.")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to its descendants."""
        if not self.pid:
            return
        for pid in (*descendants(self.pid), self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it as a power cut would, with its descendants."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            for pid in (*descendants(process.pid), process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def stop(self, timeout_s: float) -> int | None:
        """Ask it to end, and return its exit code; None where it had to be killed."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code: int | None = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        return code

    def _is_ready(self) -> bool:
        import select

        process = self._process
        assert process is not None  # noqa: S101  (just started)
        assert process.stdout is not None  # noqa: S101  (piped)
        readable, _, _ = select.select([process.stdout], [], [], _READY_WITHIN_S)
        return bool(readable) and process.stdout.readline().decode(errors="replace").startswith(self._ready)
