"""The process in which a subject is measured: `python -m edgesdk.benchmark.child FOLDER`.

It reads one command a line (JSON) from its standard input and answers each with one line on what was its standard
output; whatever a runtime prints goes to standard error. It ends when its input does, and so never outlives its parent.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from edgesdk_targets.errors import EdgeError

_ORPHANED = 86  # exit status; nobody is there to read it


def main(folder: Path) -> NoReturn:
    """Answer commands until there are no more; the process ends here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands, folder), daemon=True).start()
    answers = os.dup(1)
    os.dup2(2, 1)
    from edgesdk.benchmark.subject import REQUEST

    request = json.loads((folder / REQUEST).read_text("utf-8"))
    sys.path[:] = request["path"]
    from edgesdk.benchmark.child_work import Work

    work = Work(request, folder)
    while True:
        command = json.loads(commands.get())
        os.write(answers, (json.dumps(_carry_out(work.do, command)) + "\n").encode())


def _carry_out(do: Callable[..., Any], command: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": do(**command)}
    except EdgeError as error:
        return {"error": error.message, "hint": error.hint, "traceback": traceback.format_exc()}
    except MemoryError:
        return {"error": "memory ran out.", "hint": "Use a smaller model.", "traceback": ""}
    except Exception as error:  # noqa: BLE001  # the process's top: whatever it was, the parent is told
        text = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {text[0][:300] if text else 'no message'}"
        return {"error": said, "hint": "Run it again with --debug.", "traceback": traceback.format_exc()}


def _listen(commands: queue.SimpleQueue[str], folder: Path) -> None:
    for line in _lines(0):
        commands.put(line)
    shutil.rmtree(folder, ignore_errors=True)  # where the parent is gone, nobody else does it
    os._exit(_ORPHANED)


def _lines(descriptor: int) -> Iterator[str]:
    """Read lines by the descriptor: the lock of `sys.stdin`, held by a thread, would abort the interpreter's end."""
    left = b""
    while data := os.read(descriptor, 65536):
        *whole, left = (left + data).split(b"\n")
        yield from (line.decode() for line in whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
