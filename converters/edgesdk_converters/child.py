"""Run one conversion step in a process of its own.

Rule: a framework that crashes, runs out of memory, prints or changes global state does so in a child. What crosses is
JSON and files in a private folder (no pickle); the folder is removed whatever happens. The child's failure comes back
as the error it was; a child that died becomes `StepFailed` saying how. The child ends when its parent does.
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
from pathlib import Path
from typing import IO, Any, cast

from edgesdk_converters.child_values import pack, unpack
from edgesdk_converters.framework_edge import OUT_OF_MEMORY_HINT
from edgesdk_converters.step_progress import report
from edgesdk_targets import errors
from edgesdk_targets.errors import EdgeError, MissingExtra, StepFailed

REQUEST, RESULT = "request.json", "result.json"
_PATIENCE_S = 5.0  # between asking a child to end and ending it
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
        StepFailed: it raised something else, or the process died.
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
        status = _watch(folder, step)
        return _result(folder, step, status)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(folder: Path, step: str) -> int:
    """Run the child to its end; return its exit status (negative: the signal that killed it)."""
    with _child(folder) as process:
        reports, noise = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        log = logging.getLogger(f"edgesdk_converters.{step}")
        listener = threading.Thread(target=_drain, args=(noise, log), daemon=True)
        listener.start()
        for line in reports:  # one report a line, until the child closes its end
            report(line.decode("utf-8", "replace").rstrip("\n"))
        status = process.wait()
        listener.join()
        return status


def _drain(stream: IO[bytes], log: logging.Logger) -> None:
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            log.debug("%s", text)


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
        [sys.executable, "-m", "edgesdk_converters.child", str(folder)],
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


def _result(folder: Path, step: str, status: int) -> Any:
    try:
        answer = json.loads((folder / RESULT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _died(step, status) from error
    if "error" in answer:
        raise _revived(answer["error"]) from ChildTraceback(answer["error"]["traceback"])
    return unpack(answer["result"], folder)


def _died(step: str, status: int) -> StepFailed:
    if status == -signal.SIGKILL:
        return StepFailed(
            f"{step}: its process was killed (SIGKILL), most likely because memory ran out.", hint=OUT_OF_MEMORY_HINT
        )
    if status < 0:
        return StepFailed(f"{step}: its process crashed ({signal.Signals(-status).name}).", hint=_CRASH_HINT)
    return StepFailed(f"{step}: its process ended with code {status} and no result.", hint=_CRASH_HINT)


def _revived(said: dict[str, str]) -> EdgeError:
    """Return the child's error as an object of the same class."""
    kind = getattr(errors, said["class"], StepFailed)
    if kind is MissingExtra:
        return MissingExtra(said["package"], said["extra"])
    revived: EdgeError = kind(said["message"], hint=said["hint"])
    return revived


if __name__ == "__main__":
    from edgesdk_converters.child_main import main

    main(Path(sys.argv[1]))
