"""The field of a soak: virtual cameras, a broker, a recorder and the agent, each a real process on this machine."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import Self

from edgesdk.fleet.broker import find_broker
from edgesdk.fleet.broker_config import iotcore_config, mosquitto_config
from edgesdk.soak.child import Child
from edgesdk.soak.series import LedgerBalance
from edgesdk_agent.health.status_file import status_folder

_SYSTEM_PYTHON = "/usr/bin/python3"
_HERE = Path(__file__).parent
_DEVICE = "soak"


@dataclass(frozen=True, slots=True)
class FieldSettings:
    """What is put up.

    Attributes:
        bundle: the model.
        cameras: how many; fps, width, height: of each.
        agent: more of the agent's configuration, by section; camera: more of each camera's.
    """

    bundle: Path
    cameras: int = 2
    fps: int = 15
    width: int = 320
    height: int = 240
    agent: Mapping[str, Any] | None = None
    camera: Mapping[str, Any] = field(default_factory=dict)


class Field:
    """Everything that runs during a soak; use it in a `with` statement.

    Args:
        settings: what is put up.
        folder: everything lies there: logs, the agent's configuration, its outbox, the record.
    """

    def __init__(self, settings: FieldSettings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.has_rtsp = rtsp_is_missing() == ""
        self._sources: dict[str, str] = {}
        self.cameras = {f"camera{number + 1}": self._camera(number) for number in range(settings.cameras)}
        self._broker_port = free_port()
        self.broker = self._make_broker()
        self._database = folder / "record.db"
        self.recorder = self._make_recorder()
        self._runtime = folder / "run"
        self._runtime.mkdir(mode=0o700)
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self._runtime), "XDG_CACHE_HOME": str(folder / "cache")}
        environment.pop("RUNTIME_DIRECTORY", None)
        environment.pop("NOTIFY_SOCKET", None)
        self.environment = environment
        config = folder / "edgesdk.yaml"
        # JSON is YAML, and writes itself.
        config.write_text(json.dumps(self._agent_config(), indent=2))
        words = (
            sys.executable,
            "-m",
            "edgesdk_agent.main",
            "run",
            "--config",
            str(config),
            "--log-format",
            "json",
            "--json",
        )
        self._summary = folder / "summary.json"
        self.agent = Child(words, folder / "agent.log", environment=environment, out=self._summary)

    def __enter__(self) -> Self:
        try:
            for camera in self.cameras.values():
                camera.start()
            self.broker.start()
            self.recorder.start()
            self.agent.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in (self.agent, self.recorder, self.broker, *self.cameras.values()):
            child.kill()

    def status(self) -> dict[str, Any] | None:
        """Return the agent's own status, if it is that of the process that runs."""
        try:
            found = json.loads((status_folder(self.environment) / f"{_DEVICE}.status.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("pid") == self.agent.pid else None

    def recorded(self) -> int | None:
        """Return how many reports the recorder has stored; None while its file cannot be read."""
        return self._asked("SELECT count(*) FROM records")

    def balance(self) -> LedgerBalance:
        """Compare what is stored with what was numbered; the agent must have ended."""
        left = self._undelivered()
        # Of each epoch every number from 1 to the highest is stored, declared lost, or a hole.
        highest = self._asked("SELECT coalesce(sum(top), 0) FROM (SELECT max(seq) AS top FROM records GROUP BY stream)")
        stored = self._asked("SELECT count(*) FROM records")
        declared = self._declared()
        holes = max(0, (highest or 0) - (stored or 0) - sum(declared.values()))
        return LedgerBalance(stored or 0, holes, declared, left)

    def _undelivered(self) -> int:
        """Return how many reports the agent still had at its end; one that told nothing has at least one."""
        try:
            return int(json.loads(self._summary.read_text("utf-8"))["reports"]["undelivered"])
        except (OSError, ValueError, KeyError, TypeError):
            return 1

    def _declared(self) -> dict[str, int]:
        """Return how many numbers were declared lost and are not stored, by cause."""
        rows = self._rows(
            "SELECT g.cause, sum(g.last - g.first + 1 - (SELECT count(*) FROM records r WHERE r.stream = g.stream "
            "AND r.seq BETWEEN g.first AND g.last)) FROM (SELECT DISTINCT stream, first, last, cause FROM gaps) g "
            "GROUP BY g.cause"
        )
        return {str(cause): int(count) for cause, count in rows if count}

    def _asked(self, question: str) -> int | None:
        rows = self._rows(question)
        return int(rows[0][0]) if rows else None

    def _rows(self, question: str) -> list[Any]:
        try:
            with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=5.0)) as record:
                return record.execute(question).fetchall()
        except sqlite3.Error:
            return []

    def _camera(self, number: int) -> Child:
        settings = self.settings
        port = free_port()
        program = (
            (_SYSTEM_PYTHON, str(_HERE / "rtsp_server_child.py"))
            if self.has_rtsp
            else (sys.executable, str(_HERE / "mjpeg_server_child.py"))
        )
        words = (*program, str(port), str(settings.width), str(settings.height), str(settings.fps))
        self._sources[f"camera{number + 1}"] = self._address(port)
        return Child(words, self.folder / f"camera{number + 1}.log", ready="serves")

    def _address(self, port: int) -> str:
        return f"rtsp://127.0.0.1:{port}/camera" if self.has_rtsp else f"http://127.0.0.1:{port}/"

    def _make_broker(self) -> Child:
        program = find_broker()
        child = (sys.executable, "-I", str(_HERE.parent / "fleet/broker_child.py"), program.kind)
        folder = self.folder / "broker"
        folder.mkdir()
        words: tuple[str, ...]
        if program.kind == "mosquitto":
            words = (*child, program.path, str(mosquitto_config(folder, "127.0.0.1", self._broker_port, "", "")))
        else:
            words = (*child, str(iotcore_config(folder, "127.0.0.1", self._broker_port, "", "")))
        return Child(words, self.folder / "broker.log")

    def _make_recorder(self) -> Child:
        address = f"mqtt://127.0.0.1:{self._broker_port}"
        words = (
            sys.executable,
            "-m",
            "edgesdk",
            "fleet",
            "record",
            "--broker",
            address,
            "--wait",
            "--db",
            str(self._database),
        )
        return Child(words, self.folder / "recorder.log")

    def _agent_config(self) -> dict[str, Any]:
        settings = self.settings
        config: dict[str, Any] = {
            "bundle": str(settings.bundle.absolute()),
            "device": {"name": _DEVICE},
            "cameras": [{"name": name, "source": source, **settings.camera} for name, source in self._sources.items()],
            "pipeline": {"tune": "off", "threads": 1},
            "mqtt": {"url": f"mqtt://127.0.0.1:{self._broker_port}"},
            "telemetry": {"interval_s": 2},
            "health": {"interval_s": 1, "watchdog": "exit", "stall_s": 20, "exit_after_s": 40},
            "outbox": {"path": str(self.folder / "outbox.db")},
        }
        for section, values in (settings.agent or {}).items():
            same = isinstance(values, Mapping) and isinstance(config.get(section), dict)
            config[section] = {**config[section], **values} if same else values
        return config


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rtsp_is_missing() -> str:
    """Say why no RTSP server can be had here; empty where one can."""
    words = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; Gst.init(None)"
    needs = f"{words}; raise SystemExit(any(Gst.ElementFactory.find(n) is None for n in ('jpegenc', 'rtpjpegpay')))"
    try:
        done = subprocess.run([_SYSTEM_PYTHON, "-c", needs], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return f"there is no {_SYSTEM_PYTHON}"
    return "" if not done.returncode else "GStreamer's RTSP server is missing (Debian gir1.2-gst-rtsp-server-1.0)"
