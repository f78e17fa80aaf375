"""Functions that tests run in a child process; each behaves badly in its own way."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk_converters.step_progress import report
from edgesdk_targets.errors import InputError, MissingExtra


def echo(**kwargs: Any) -> dict[str, Any]:
    return kwargs


def doubled(array: Any) -> Any:
    return np.asarray(array) * 2


def noisy() -> str:
    print("printed by Python")
    os.write(1, b"printed natively\n")
    report("first half")
    report("second half")
    return "done"


def refuse() -> None:
    raise InputError("the model is wrong", hint="mend the model")


def miss() -> None:
    raise MissingExtra("openvino", "openvino")


def stumble() -> None:
    raise KeyError("unexpected")


def die(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def run_out_of_memory() -> None:
    """End as C++ does when an allocation fails."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n")
    os.abort()


def hang() -> None:
    signal.pause()


def leave(code: int) -> None:
    os._exit(code)


def where() -> dict[str, Any]:
    Path(tempfile.gettempdir(), "left-behind").write_bytes(b"x" * 1000)
    return {"cwd": str(Path.cwd()), "temp": tempfile.gettempdir(), "path": list(sys.path), "pid": os.getpid()}


def wait(started: Path) -> None:
    """Say through a named pipe which process this is, then wait for ever."""
    started.write_text(str(os.getpid()))
    signal.pause()
