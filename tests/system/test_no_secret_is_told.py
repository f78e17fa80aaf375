"""A planted password, through the real agent: no log, report, timeline, summary, traceback or process title shows it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.camera_pictures import grey
from edgesdk_testkit.mjpeg_server import MjpegServer
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

pytestmark = pytest.mark.system
pytest.importorskip("onnxruntime")

# With what a URL must escape: shown whole or as written, it is told either way.
CAMERA, WRITTEN = "Pl4nted@cam:era", "Pl4nted%40cam%3Aera"
BROKER = "Pl4nted-broker"
UPLOAD, PREVIEW = "Pl4nted-upload", "Pl4nted-preview"
PLANTED = ("Pl4nted", "cam:era", "cam%3Aera")


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(grey, credentials=f"admin:{CAMERA}", fps=20.0) as server:
        yield server


class Titles:
    """Collect the titles of a process and of all below it, while it runs."""

    def __init__(self, pid: int) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pid,))
        self._thread.start()

    def _run(self, pid: int) -> None:
        while not self._over.wait(0.05):
            for one in _family(pid):
                try:
                    self.seen.add(Path(f"/proc/{one}/cmdline").read_bytes())
                except OSError:
                    continue

    def stop(self) -> set[bytes]:
        self._over.set()
        self._thread.join()
        return self.seen


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _config(folder: Path, bundle: Path, server: MjpegServer, broker: Broker) -> Path:
    address = str(broker.address).replace("mqtt://", "mqtt://device:${env:PLANTED_BROKER}@")
    source = f"http://admin:${{env:PLANTED_CAMERA}}@127.0.0.1:{server.port}/video.mjpg"
    wrong = f"http://admin:${{env:PLANTED_CAMERA}}x@127.0.0.1:{server.port}/video.mjpg?pwd=${{env:PLANTED_CAMERA}}"
    path = folder / "edgesdk.yaml"
    path.write_text(
        f"bundle: {bundle}\nmqtt: {{url: '{address}'}}\ntelemetry: {{interval_s: 0.5}}\npipeline: {{tune: 'off'}}\n"
        f"pictures: {{enabled: true, folder: {folder / 'pictures'}}}\n"
        f"clips:\n  enabled: true\n  ring_folder: {folder / 'ring'}\n  sources: {{door: '{wrong}'}}\n"
        "  upload: {url: 'http://127.0.0.1:9/files', token: '${env:PLANTED_UPLOAD}'}\n"
        "preview: {listen: '127.0.0.1:0', token: '${env:PLANTED_PREVIEW}'}\n"
        f"cameras:\n  - {{name: door, source: '{source}', supervise: {{retry_most_s: 0.2, silent_after_s: 1}}}}\n"
        f"  - {{name: yard, source: '{source}', isolate: true}}\n"
        f"  - {{name: gate, source: '{wrong}', supervise: {{attempts: 1, offline_retry_s: 0.2}}}}\n"
    )
    return path


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "XDG_CACHE_HOME": str(folder),
        "PLANTED_CAMERA": WRITTEN,
        "PLANTED_BROKER": BROKER,
        "PLANTED_UPLOAD": UPLOAD,
        "PLANTED_PREVIEW": PREVIEW,
    }


def _assert_nothing_told(what: str, text: str) -> None:
    assert text, f"{what} is empty: nothing was searched"
    for planted in (*PLANTED, BROKER):
        assert planted not in text, f"{planted!r} in {what}"


def test_a_planted_password_is_nowhere(tmp_path: Path, server: MjpegServer) -> None:
    bundle = write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle")
    with (
        Broker(port=0, username="device", password=BROKER) as broker,
        MqttListener(broker.address.host, broker.address.port, login=("device", BROKER)) as listener,
    ):
        config = _config(tmp_path, bundle, server, broker)
        with AgentProcess("--config", config, "--debug", "--duration", "4", env=_environment(tmp_path)) as agent:
            titles = Titles(agent.pid)
            listener.wait_for("up/result", 5)
            listener.wait_until(lambda all_: any(one.body.get("name") == "camera_offline" for one in all_))
            code, summary = agent.finish()
            seen = titles.stop()
        heard = listener.heard()
    assert code == 0, agent.log
    assert "***@127.0.0.1" in agent.log, "the addresses were told, without their logins"
    assert any(b"reader_child" in title for title in seen), "the isolated camera's process was looked at"
    assert {"up/birth", "up/tele", "up/event", "up/result"} <= {one.channel for one in heard}
    _assert_nothing_told("the log", agent.log)
    _assert_nothing_told("the summary", json.dumps(summary))
    _assert_nothing_told("the reports", json.dumps([[one.topic, one.body] for one in heard]))
    _assert_nothing_told("a process title", b"\n".join(seen).decode())
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != config:
            assert b"Pl4nted" not in file.read_bytes(), file


@pytest.mark.parametrize("setting", ["cameras: {PLANTED}", "cameras: [{name: a b, source: 'PLANTED'}]", "cameras: []"])
def test_an_error_with_its_traceback_shows_nothing(tmp_path: Path, server: MjpegServer, setting: str) -> None:
    source = f"http://admin:${{env:PLANTED_CAMERA}}@127.0.0.1:{server.port}/absent"
    path = tmp_path / "edgesdk.yaml"
    path.write_text(f"bundle: absent.edgebundle\n{setting.replace('PLANTED', source)}\n")
    with AgentProcess("--config", path, "--no-mqtt", "--debug", env=_environment(tmp_path)) as agent:
        code, _ = agent.finish()
    assert code != 0
    assert "Traceback" in agent.log
    _assert_nothing_told("the traceback", agent.log)


def test_a_password_in_a_flag_is_warned_of_and_hidden_in_the_log(tmp_path: Path, server: MjpegServer) -> None:
    """The control of the titles, too: a flag does show in the list of processes, which is what the warning says."""
    bundle = write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle")
    source = f"http://admin:{WRITTEN}@127.0.0.1:{server.port}/video.mjpg"
    with AgentProcess(
        "--bundle", bundle, "--source", source, "--no-mqtt", "--duration", "1", env=_environment(tmp_path)
    ) as agent:
        titles = Titles(agent.pid)
        code, _ = agent.finish()
        seen = titles.stop()
    assert code == 0, agent.log
    assert "list of processes" in agent.log
    _assert_nothing_told("the log", agent.log)
    assert any(WRITTEN.encode() in title for title in seen)
