"""The parent's hand on a child process: ask, wait at most so long, and say how it ended if it did.

Rule: whatever a runtime does to its process (crash, hang, memory) becomes `ChildFailed` here; on the way out the child
has ended and its folder is gone.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Literal, cast

import edgesdk
from edgesdk.benchmark.subject import Subject
from edgesdk_targets import errors
from edgesdk_targets.errors import SessionFailed

log = logging.getLogger(__name__)

Failure = Literal["refused", "crashed", "killed", "hung"]
_PATIENCE_S = 5.0
_CRASH_HINT = "Another variant or runtime may do; --debug shows what the runtime said."
_LAST_WORDS = 5


class ChildFailed(SessionFailed):
    """A subject could not be measured.

    Attributes:
        kind: the runtime said no, or its process crashed, was killed (memory), or did not answer in time.
    """

    def __init__(self, kind: Failure, message: str, *, hint: str = _CRASH_HINT) -> None:
        super().__init__(message, hint=hint)
        self.kind: Failure = kind


class LiveChild:
    """A child process with one subject; use it in a `with` statement, which never leaves it running."""

    def __init__(self, subject: Subject) -> None:
        self.name = subject.name
        self._folder = Path(tempfile.mkdtemp(prefix="edgesdk-benchmark-"))
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_words: list[str] = []
        try:
            subject.write(self._folder)
            self._process = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._readers = [
            threading.Thread(target=self._read_answers, daemon=True),
            threading.Thread(target=self._read_noise, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, what: str, *, within_s: float, **arguments: object) -> Any:
        """Have the child do something and return its answer.

        Raises:
            ChildFailed: it refused, died, or did not answer in time (it is then ended).
        """
        try:
            stdin = cast("IO[bytes]", self._process.stdin)
            stdin.write((json.dumps({"what": what, **arguments}) + "\n").encode())
            stdin.flush()
            line = self._answers.get(timeout=within_s)
        except queue.Empty:
            self._process.kill()
            raise ChildFailed("hung", f"{self.name}: no answer within {within_s:g} s ({_doing(what)}).") from None
        except OSError:
            line = None
        if line is None:
            raise self._died(what)
        answer = json.loads(line)
        if "error" in answer:
            log.debug("%s", answer["traceback"])
            raise ChildFailed("refused", f"{self.name}: {answer['error']}", hint=answer["hint"])
        return answer["result"]

    def close(self) -> None:
        """End the child and remove what it had."""
        try:
            cast("IO[bytes]", self._process.stdin).close()
        except OSError:
            log.debug("%s had ended", self.name)
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            cast("IO[bytes]", stream).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> LiveChild:  # noqa: PYI034  (typing.Self came with Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        roots = [str(Path(module.__file__ or "").resolve().parents[1]) for module in (edgesdk, errors)]
        inherited = [str(Path(p).absolute()) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*roots, *inherited]))}
        return subprocess.Popen(
            [sys.executable, "-m", "edgesdk.benchmark.child", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,  # `-m` puts the working folder on the path: this one holds no modules
            env=environment,
        )

    def _read_answers(self) -> None:
        for line in cast("IO[bytes]", self._process.stdout):
            self._answers.put(line)
        self._answers.put(None)

    def _read_noise(self) -> None:
        for line in cast("IO[bytes]", self._process.stderr):
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                log.debug("%s: %s", self.name, text)
                self._last_words = [*self._last_words[1 - _LAST_WORDS :], text]

    def _died(self, what: str) -> ChildFailed:
        status = self._process.wait()
        where = f"{self.name}: its process"
        if status == -signal.SIGKILL:
            return ChildFailed("killed", f"{where} was killed while {_doing(what)}: most likely memory ran out.")
        if status < 0:
            return ChildFailed("crashed", f"{where} crashed while {_doing(what)} ({signal.Signals(-status).name}).")
        self._readers[1].join(_PATIENCE_S)
        said = f": {self._last_words[-1][:200]}" if self._last_words else ""
        return ChildFailed("crashed", f"{where} ended with code {status} while {_doing(what)}{said}.")


def _doing(what: str) -> str:
    return {"load": "loading the model", "coverage": "reading its nodes"}.get(what, "running the model")
