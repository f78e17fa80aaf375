"""`edgesdk fleet serve` as a process of its own, set up and ended as a person does."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from typing_extensions import Self

from edgesdk_testkit.fleet_service import PASSWORD, csrf_of

PATIENCE_S = 30.0


class Serve:
    """The command, from its address to its end.

    Args:
        db: the store; the process runs in its folder.
        more: further options.
    """

    def __init__(self, db: Path, *more: str) -> None:
        command = [sys.executable, "-m", "edgesdk", "fleet", "serve", "--db", str(db), "--port", "0", "--json", *more]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=db.parent
        )
        self.told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if line == "}\n":
                break
        assert text, self.process.stderr and self.process.stderr.read()
        self.told = json.loads(text)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def finish(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def until(what: Callable[[], Any]) -> Any:
    """Return what `what` gives as soon as it is something."""
    end, waiting = time.monotonic() + PATIENCE_S, threading.Event()
    while not (found := what()):
        assert time.monotonic() < end, "never"
        waiting.wait(0.1)
    return found


@contextmanager
def set_up(told: dict[str, Any], *, ca: Path | None = None) -> Iterator[httpx.Client]:
    """Make the first administrator, and return a browser that is logged in.

    Args:
        ca: whom to trust, where the service speaks HTTPS.
    """
    trust = True if ca is None else ssl.create_default_context(cafile=str(ca))
    with httpx.Client(base_url=told["url"].rstrip("/"), timeout=20, verify=trust) as client:
        code = told["setup"].partition("code=")[2]
        form = {"csrf": csrf_of(client.get("/setup").text), "name": "admin", "password": PASSWORD, "again": PASSWORD}
        assert client.post("/setup", data={**form, "code": code}).status_code == 303
        yield client
