"""A real Chromium without a window, told what to do over a pipe by its own protocol: no driver, no library.

Every request that a page makes is written down, so that a test can say that none left this machine.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from typing_extensions import Self

_PATIENCE_S = 30.0
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
    "--force-color-profile=srgb",
)  # fmt: skip


class Browser:
    """One page of one browser; ends with the `with` statement.

    Attributes:
        requests: every address that was asked for; console: what scripts complained of.
    """

    def __init__(self, program: str, folder: Path) -> None:
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()

        def give_pipes() -> None:
            # Its protocol reads descriptor 3 and writes 4; by way of high numbers, since one may be the other.
            high = os.dup(to_browser), os.dup(from_browser)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            preexec_fn=give_pipes,  # noqa: PLW1509  (it only moves descriptors)
            pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._loaded: queue.Queue[str] = queue.Queue()
        self._session = ""
        self.requests: list[str] = []
        self.console: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.tell(f"{domain}.enable")
        self.tell("Page.setLifecycleEventsEnabled", enabled=True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._session = ""
            self.tell("Browser.close")
            self._process.wait(10)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
        self._process.wait()
        os.close(self._to)

    def tell(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        answer: queue.Queue[dict[str, Any]] = queue.Queue()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        try:
            got = answer.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise AssertionError(f"the browser does not answer {method}") from None
        assert "error" not in got, f"{method}: {got['error']}"
        result: dict[str, Any] = got["result"]
        return result

    def go(self, url: str) -> None:
        """Open an address and wait until it is loaded; a place in the page that is open needs no load."""
        got = self.tell("Page.navigate", url=url)
        assert "errorText" not in got, f"{url} does not open: {got['errorText']}"
        # The page before may still be loading, and its end is told too: only the end of this very load counts.
        wanted = got.get("loaderId")
        try:
            while wanted and self._loaded.get(timeout=_PATIENCE_S) != wanted:
                pass
        except queue.Empty:
            raise AssertionError(f"{url} does not load") from None

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value; of a promise, what it becomes."""
        got = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got.get("exceptionDetails")
        return got["result"].get("value")

    def until(self, script: str, *, timeout_s: float = _PATIENCE_S) -> Any:
        """Wait until a script's value is true, and return it."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                value = self.run(f"(() => {{ {script} }})()")
            except AssertionError:
                value = None  # between two pages there is none
            if value:
                return value
            assert time.monotonic() < end, f"never true: {script}; {self.console[-3:]}"
            threading.Event().wait(0.05)

    def look(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Be a screen of this size, with light or dark colours."""
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = "dark" if dark else "light"
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path, *, whole: bool = True) -> Path:
        """Save what is seen as a PNG; `whole` with what must be scrolled to."""
        got = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(got["data"]))
        return path

    def _read(self) -> None:
        buffer = b""
        try:
            while chunk := os.read(self._from, 1 << 16):
                *messages, buffer = (buffer + chunk).split(b"\0")
                for message in messages:
                    self._take(json.loads(message))
        finally:
            os.close(self._from)

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers.pop(message["id"]).put(message)
            return
        method, said = message.get("method"), message.get("params", {})
        if method == "Page.lifecycleEvent" and said["name"] == "load":
            self._loaded.put(said["loaderId"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(said["exceptionDetails"])[:600])
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.console.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
