"""Run one conversion step in a process of its own.

Rule: a framework that crashes, hangs, runs out of memory, prints or changes global state does so in a child. What
crosses is JSON and files in a private folder (no pickle); the folder is removed whatever happens. The child's failure
comes back as the error it was; a child that died, or was ended at its step's time limit, becomes `StepFailed` saying
how. The child ends when its parent does.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from edgesdk_converters.child_values import REQUEST, RESULT, pack, unpack
from edgesdk_converters.framework_edge import OUT_OF_MEMORY_HINT
from edgesdk_converters.step_progress import report
from edgesdk_targets import errors
from edgesdk_targets.errors import EdgeError, MissingExtra, StepFailed

_KILLED_FOR_MEMORY = (-signal.SIGKILL, 128 + signal.SIGKILL)  # by the kernel; the latter as a container tells it
_PATIENCE_S = 5.0  # between asking a child to end and ending it
# Generous: a limit is for what hangs, not for what is slow. By step (the function's module).
_LIMIT_S = 2 * 3600.0
_LIMITS_S = {
    "tensorrt_rtx_check": 300.0,
    # They run the model many times, over all calibration pictures.
    "int8_openvino": 8 * 3600.0,
    "int8_onnx": 4 * 3600.0,
    "sensitivity_onnx": 8 * 3600.0,
}
_CRASH_HINT = "Run it again with --debug to see what the framework said; another target or runtime may do."


class ChildTraceback(Exception):
    """The child's traceback, as text; the cause of what the parent raises, for --debug."""


def run_step(dotted: str, /, **kwargs: object) -> Any:
    """Call a function in a child process and return its result.

    What the child reports goes to this thread's progress listener; what it prints and logs becomes DEBUG lines of the
    logger `edgesdk_converters.<step>`.

    Args:
        dotted: `package.module:function`.
        kwargs: the function's arguments, of the kinds that `child_values` lets cross.

    Raises:
        EdgeError: what the function raised, as it was.
        StepFailed: it raised something else, the process died, or it did not end within the step's time limit.
    """
    step = dotted.partition(":")[0].rpartition(".")[2]
    folder = Path(tempfile.mkdtemp(prefix="edgesdk-step-"))
    try:
        request = {
            "function": dotted,
            "kwargs": pack(kwargs, folder),
            "cwd": str(Path.cwd()),
            "path": [str(Path(entry).absolute()) for entry in sys.path],
        }
        (folder / REQUEST).write_text(json.dumps(request), "utf-8")
        return _result(folder, step, _watch(folder, step))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _End:
    """How a child ended: its exit status (negative: the signal), its last words, and the limit that it was ended at."""

    status: int
    last: str
    limit_s: float | None


def _watch(folder: Path, step: str) -> _End:
    """Run the child to its end."""
    limit_s = _LIMITS_S.get(step, _LIMIT_S)
    with _child(folder) as process:
        reports, noise = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        last: list[str] = [""]
        listener = threading.Thread(target=_drain, args=(noise, step, last), daemon=True)
        listener.start()
        late = threading.Event()
        timer = threading.Timer(limit_s, _end_late, (process, late))
        timer.daemon = True
        timer.start()
        try:
            for line in reports:  # one report a line, until the child closes its end
                report(line.decode("utf-8", "replace").rstrip("\n"))
            status = process.wait()
        finally:
            timer.cancel()
        listener.join(_PATIENCE_S)  # what the child started itself may hold its end of the pipe open
        return _End(status, last[0], limit_s if late.is_set() else None)


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _drain(stream: IO[bytes], step: str, last: list[str]) -> None:
    log = logging.getLogger(f"edgesdk_converters.{step}")
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            log.debug("%s", text)
            last[0] = text


@contextmanager
def _child(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child; on the way out, however that comes (Ctrl-C too), it has ended."""
    roots = [str(Path(module.__file__ or "").resolve().parents[1]) for module in (sys.modules[__package__], errors)]
    inherited = [str(Path(entry).absolute()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([*roots, *inherited])),
        "TMPDIR": str(folder),  # what a framework leaves behind goes with the folder
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "edgesdk_converters.child_main", str(folder)],
        stdin=subprocess.PIPE,  # never written: its end tells the child that the parent is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,  # `-m` puts the working folder on the path: this one holds no modules
        env=environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _result(folder: Path, step: str, end: _End) -> Any:
    try:
        answer = json.loads((folder / RESULT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _died(step, end) from error
    if "error" in answer:
        raise _revived(answer["error"]) from ChildTraceback(answer["error"]["traceback"])
    return unpack(answer["result"], folder)


def _died(step: str, end: _End) -> StepFailed:
    if end.limit_s is not None:
        return StepFailed(f"{step}: it did not end within {end.limit_s:g} s, and was stopped.", hint=_CRASH_HINT)
    if end.status in _KILLED_FOR_MEMORY:
        return StepFailed(
            f"{step}: its process was killed (SIGKILL), most likely because memory ran out.", hint=OUT_OF_MEMORY_HINT
        )
    if "bad_alloc" in end.last:
        return StepFailed(f"{step}: its process ran out of memory ({end.last[:200]}).", hint=OUT_OF_MEMORY_HINT)
    if end.status < 0:
        return StepFailed(f"{step}: its process crashed ({signal.Signals(-end.status).name}).", hint=_CRASH_HINT)
    return StepFailed(f"{step}: its process ended with code {end.status} and no result.", hint=_CRASH_HINT)


def _revived(said: dict[str, str]) -> EdgeError:
    """Return the child's error as an object of the same class."""
    kind = getattr(errors, said["class"], StepFailed)
    if kind is MissingExtra:
        return MissingExtra(said["package"], said["extra"])
    revived: EdgeError = kind(said["message"], hint=said["hint"])
    return revived
