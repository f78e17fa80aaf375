"""The child's side of `run_step`: read the request, call the function, write the result."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

from edgesdk_converters.child_values import REQUEST, RESULT, find, pack, unpack
from edgesdk_converters.framework_edge import OUT_OF_MEMORY_HINT, reason
from edgesdk_converters.step_progress import listening
from edgesdk_targets.errors import EdgeError, MissingExtra, StepFailed

_ORPHANED = 86  # exit status; nobody is there to read it


def main(folder: Path) -> NoReturn:
    """Carry out the request in the folder; the process ends here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    reports = os.dup(1)
    os.dup2(2, 1)  # what a framework prints is noise; the reports have a channel of their own
    logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s", stream=os.fdopen(os.dup(2), "w"))
    request = json.loads((folder / REQUEST).read_text("utf-8"))
    sys.path[:] = request["path"]
    os.chdir(request["cwd"])
    with listening(lambda line: _tell(reports, line)):
        answer = _answer(request, folder)
    partial = folder / f"{RESULT}.partial"
    partial.write_text(json.dumps(answer), "utf-8")
    partial.replace(folder / RESULT)
    sys.stdout.flush()
    sys.stderr.flush()
    # The result is on disk: destructors of a framework's threads may crash a process that has nothing left to do.
    os._exit(0)


def _answer(request: dict[str, object], folder: Path) -> dict[str, object]:
    dotted = str(request["function"])
    step = dotted.partition(":")[0].rpartition(".")[2]
    try:
        result = find(dotted)(**unpack(request["kwargs"], folder))
        return {"result": pack(result, folder)}
    except EdgeError as error:
        return {"error": _said(error)}
    except MemoryError:
        return {"error": _said(StepFailed(f"{step}: out of memory.", hint=OUT_OF_MEMORY_HINT))}
    except Exception as error:  # noqa: BLE001  # the process's top: whatever it was, the parent is told
        return {
            "error": _said(StepFailed(f"{step}: {reason(error)}", hint="Run it again with --debug for the details."))
        }


def _said(error: EdgeError) -> dict[str, str]:
    said = {
        "class": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "traceback": traceback.format_exc(),
    }
    if isinstance(error, MissingExtra):
        said |= {"package": error.package, "extra": error.extra}
    return said


def _tell(descriptor: int, line: str) -> None:
    os.write(descriptor, (line.replace("\n", " ") + "\n").encode())


def _end_with_parent(folder: Path) -> None:
    os.read(0, 1)  # returns when the parent's end of the pipe closes
    shutil.rmtree(folder, ignore_errors=True)  # whoever would have done it is gone
    os._exit(_ORPHANED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
