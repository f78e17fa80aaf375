"""The README's first command, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_testkit.fleet_service import PASSWORD, csrf_of
from edgesdk_testkit.mqtt_listener import MqttListener

pytestmark = pytest.mark.system


def _command(root: Path) -> list[str]:
    """`scripts/demo` itself where its environment is this one; else what it runs."""
    here = Path(sys.prefix).resolve() == (root / ".venv").resolve()
    return [str(root / "scripts/demo")] if here else [sys.executable, str(root / "scripts/demo.py")]


def _running_in(folder: Path) -> list[str]:
    """Return the command lines of the demo, its agent and its broker: their files are in there."""
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


def test_the_demo_finds_what_the_camera_showed_and_leaves_nothing_running(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*_command(root), "--seconds", "6", "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert {"frames", "fps", "age_ms", "cpu_s_per_frame", "rss_bytes"} <= set(document)
    assert document["precision"] >= 0.95
    assert document["recall"] >= 0.95
    assert document["sent"] == document["received"] > 0
    frames = document["frames"]
    # Each frame that the camera gave came back, or was left out by a busy machine, which says so.
    assert document["received"] == frames["captured"] - sum(frames["dropped"].values()) - frames["in_flight"]
    runtimes = {name.rsplit("-", 2)[1] for name in document["variants"]}
    assert runtimes == {"openvino", "litert", "tensorrt"}
    assert "Everything is stopped." in done.stderr
    assert _running_in(tmp_path) == []
    assert list(tmp_path.glob("edgesdk-demo-*")) == []


def _shown(url: str, code: str) -> dict[str, Any]:
    """Set the dashboard up as a person does, and return how it shows the demo's agent once it has figures."""
    with httpx.Client(base_url=url, timeout=20) as client:
        form = {"csrf": csrf_of(client.get("/setup").text), "name": "admin", "password": PASSWORD, "again": PASSWORD}
        assert client.post("/setup", data={**form, "code": code}).status_code == 303
        end, waiting = time.monotonic() + 60, threading.Event()
        while True:
            answer = client.get("/api/v1/devices/local.demo")
            if answer.status_code == 200 and answer.json()["figures"]["fps"]:
                return dict(answer.json())
            assert time.monotonic() < end, answer.text
            waiting.wait(0.2)


def test_ctrl_c_ends_a_kept_demo_with_its_figures(root: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*_command(root), "--keep"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Agent on the conveyor"):
            break
    setup = urlsplit(next(line for line in lines if line.startswith("Dashboard")).split()[-1])
    address = BrokerAddress.parse(next(line for line in lines if line.startswith("Broker")).split()[-1])
    with MqttListener(address.host, address.port) as listener:
        listener.wait_for("up/result", 90, timeout_s=90)
        # The control of what is asked of the other one: agent and broker are found.
        assert len(_running_in(tmp_path)) >= 2
    shown = _shown(f"{setup.scheme}://{setup.netloc}", setup.query.partition("code=")[2])
    assert shown["state"] == "online"
    assert shown["bundle_name"] == "digits-detector"
    assert shown["figures"]["fps"] > 1
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody in front of it
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, "".join(lines) + rest + errors
    assert "precision" in rest
    assert "Everything is stopped." in rest
