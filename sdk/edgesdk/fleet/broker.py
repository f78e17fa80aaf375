"""Start an MQTT 5 broker for one box, a demo or a test: mosquitto where it is installed, else iotcore from its wheel.

It listens on this machine only, unless asked otherwise, and never outlives the process that started it. It keeps
nothing on disk. A fleet in earnest runs its own broker as a service.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from typing_extensions import Self

from edgesdk.fleet.broker_config import iotcore_config, mosquitto_config
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError, LinkError

Kind = Literal["mosquitto", "iotcore"]

# The usual folders of system daemons, which are often not on a user's PATH.
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/sbin")
_START_TIMEOUT_S = 15.0
_ATTEMPTS_AT_A_FREE_PORT = 5


@dataclass(frozen=True, slots=True)
class BrokerProgram:
    """A broker that can be started here; `path` is empty for the one inside a package."""

    kind: Kind
    path: str = ""


def find_broker(kind: Literal["auto", "mosquitto", "iotcore"] = "auto") -> BrokerProgram:
    """Find a broker to start.

    Raises:
        InputError: none is installed, or not the one asked for.
    """
    if kind in ("auto", "mosquitto"):
        path = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_SBIN))
        if path:
            return BrokerProgram("mosquitto", path)
    if kind in ("auto", "iotcore") and importlib.util.find_spec("iotcore") is not None:
        return BrokerProgram("iotcore")
    wanted = "no MQTT broker" if kind == "auto" else f"no {kind}"
    raise InputError(
        f"There is {wanted} on this machine.",
        hint="pip install 'edgesdk[fleet]' brings iotcore; apt install mosquitto brings mosquitto.",
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a listener at `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Broker:
    """A running broker; use it in a `with` statement, or call `stop`.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        kind: which broker.
        username, password: ask clients for these; both or none.
        open_to_network: needed to listen without a password where other machines can connect.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 1883,
        kind: Literal["auto", "mosquitto", "iotcore"] = "auto",
        username: str = "",
        password: str = "",
        open_to_network: bool = False,
    ) -> None:
        if bool(username) != bool(password):
            raise InputError("A broker's login needs both user and password.", hint="Give both, or none.")
        if set(username + password) & set('\r\n:"\\'):
            raise InputError("User or password has a character a broker cannot keep.", hint='Leave out : " \\.')
        if not is_loopback(host) and not username and not open_to_network:
            raise InputError(
                f"At {host} every machine of the network could connect, without a password.",
                hint="Give --username and --password, or say --open-to-network if that is what you want.",
            )
        self.host = host
        self.port = port
        self.program = find_broker(kind)
        self._login = (username, password)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def address(self) -> BrokerAddress:
        """Where clients on this machine connect."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared with, not bound)
        return BrokerAddress(everywhere.get(self.host, self.host), self.port)

    def start(self) -> Self:
        """Start it, and return when it accepts connections.

        Raises:
            InputError: the port is in use, or the host is not of this machine.
            LinkError: the broker does not start; the message holds its own words.
        """
        asked = self.port
        attempts = 1 if asked else _ATTEMPTS_AT_A_FREE_PORT
        for attempt in range(1, attempts + 1):
            self.port = _check_port(self.host, asked)
            try:
                self._launch()
            except LinkError:
                self.stop()
                # Somebody may have taken the free port between our look and the broker's start.
                if attempt == attempts or not _accepts(self.address):
                    raise
            else:
                break
        return self

    def wait(self, stop: threading.Event) -> int | None:
        """Wait until `stop` is set, or the broker ends by itself; return its exit code in the second case."""
        process = self._process
        if process is None:
            return None
        code: list[int] = []

        def watch_child() -> None:
            code.append(process.wait())
            stop.set()

        threading.Thread(target=watch_child, name="edgesdk-broker", daemon=True).start()
        stop.wait()
        return code[0] if code else None

    def stop(self) -> None:
        """Stop it and release the port. May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgesdk-broker-")
        folder = Path(self._folder.name)
        child = [sys.executable, "-I", str(Path(__file__).with_name("broker_child.py")), self.program.kind]
        if self.program.kind == "mosquitto":
            child += [self.program.path, str(mosquitto_config(folder, self.host, self.port, *self._login))]
        else:
            child += [str(iotcore_config(folder, self.host, self.port, *self._login))]
        log = folder / "broker.log"
        with log.open("wb") as output:
            # Its own session: Ctrl-C in a terminal is for us, and we end it in order.
            self._process = subprocess.Popen(
                child, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _accepts(self.address):
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.02)
                raise LinkError(f"{self.program.kind} ended with code {code}: {_last_words(log)}", hint=_LOOK)
            if time.monotonic() > deadline:
                raise LinkError(f"{self.program.kind} does not listen: {_last_words(log)}", hint=_LOOK)


_LOOK = "Try the other one: --kind mosquitto or --kind iotcore."


def _check_port(host: str, port: int) -> int:
    """Return a port that can be bound at `host` now; a free one for 0."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            return int(probe.getsockname()[1])
    except PermissionError as error:
        raise InputError(f"Port {port} needs the rights of an administrator.", hint="Take one above 1023.") from error
    except (socket.gaierror, OverflowError) as error:
        raise InputError(f"{host}:{port} is no address to listen on.", hint="Try --host 127.0.0.1.") from error
    except OSError as error:
        if _accepts(BrokerAddress(host, port)):
            raise InputError(
                f"Port {port} is in use.", hint="Use what runs there, give another --port, or --port 0 for a free one."
            ) from error
        raise InputError(
            f"Nothing can listen at {host}:{port}: {error.strerror}.", hint="Try --host 127.0.0.1 --port 0."
        ) from error


def _accepts(address: BrokerAddress) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=1):
            return True
    except OSError:
        return False


def _last_words(log: Path) -> str:
    text = log.read_text(errors="replace").strip()
    return text.splitlines()[-1] if text else "it said nothing"
