"""Ten thousand devices for little processor time: `devices.c`, compiled here, and what came of a run of it.

`edgesdk sim` does the same and more, in Python; on two cores that is time that the collector under measurement would not
have.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk.fleet.sim.outbox import Kept, Kind
from edgesdk.fleet.sim.profiles import PROFILES
from edgesdk.fleet.sim.reports import ResultTexts
from edgesdk.fleet.sim.speech import Speech
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node

_NODE, _EPOCH, _SEQ, _AT_MS = "local.NODE", "EPOCH", 7_111_111, 946_684_799_999
_SOURCE = Path(__file__).with_name("devices.c")


def compiled(folder: Path) -> Path:
    """Compile the devices.

    Raises:
        InputError: there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise InputError("There is no C compiler `cc`.", hint="Install gcc, or measure with `edgesdk sim`.")
    program = folder / "devices"
    subprocess.run([compiler, "-O2", "-o", str(program), str(_SOURCE), "-lm"], check=True)
    return program


def texts() -> str:
    """Return what devices say, with marks where something is filled in: a result, a birth, a will."""
    speech = Speech(Node("NODE"), _EPOCH, "boot", "0", PROFILES["results"], ResultTexts(0))
    result = speech.report(Kept(_SEQ, Kind.RESULT, _AT_MS, 0.0, turn=1), 0).payload
    birth, *_ = speech.opening(1, _SEQ, _AT_MS)
    will = speech.will(1, _SEQ, _AT_MS)
    return "".join(_marked(payload.decode()) + "\n" for payload in (result, birth.payload, will.payload))


def _marked(text: str) -> str:
    for what, mark in ((_NODE, "@N"), (_EPOCH, "@E"), (str(_SEQ), "@S"), ("1999-12-31T23:59:59.999Z", "@A")):
        text = text.replace(what, mark)
    return text


@dataclass(frozen=True, slots=True)
class Load:
    """What devices do: so many, `rate` reports a second each, for so long, and then `drain_s` at most until all is stored."""

    devices: int
    rate: float = 1.0
    seconds: float = 60.0
    drain_s: float = 30.0
    prefix: str = "dev"
    resend: bool = True


@dataclass
class Devices:
    """A running fleet.

    Attributes:
        progress: seconds since reports began, reports made and reports told as stored, four times a second.
    """

    process: subprocess.Popen[str]
    progress: list[tuple[float, int, int]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None

    @classmethod
    def start(cls, program: Path, port: int, load: Load) -> Devices:
        arguments = (
            "127.0.0.1", port, load.devices, load.rate, load.seconds, load.drain_s, load.prefix, secrets.token_hex(6),
            int(load.resend),
        )  # fmt: skip
        process = subprocess.Popen(
            [str(program), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(texts())
        process.stdin.close()
        started = cls(process)
        started._reader = threading.Thread(target=started._read, daemon=True)
        started._reader.start()
        return started

    def wait_reporting(self) -> None:
        """Return when reports have begun, or the process has ended."""
        while not self.progress and self.process.poll() is None:
            self.wait(0.02)

    def wait(self, seconds: float) -> None:
        """Let time pass while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def result(self) -> dict[str, Any]:
        """Wait for its end, and return what came of it."""
        assert self.process.stdout is not None  # noqa: S101
        output = self.process.stdout.read()
        self.process.wait()
        if self._reader is not None:
            self._reader.join()
        if not output:
            raise RuntimeError(f"the devices ended with {self.process.returncode}: {self.log[-5:]}")
        found: dict[str, Any] = json.loads(output)
        return found

    def _read(self) -> None:
        assert self.process.stderr is not None  # noqa: S101
        for line in self.process.stderr:
            parts = line.split()
            try:
                self.progress.append((float(parts[0]), int(parts[1]), int(parts[2])))
            except (ValueError, IndexError):
                self.log.append(line.strip())
