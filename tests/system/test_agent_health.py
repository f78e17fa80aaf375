"""The agent as a process: its service manager, status, metrics and threads while it runs; and its end when it stands still."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from edgesdk_agent.health.watchdog import EXIT_STALLED
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.slots import wait_until

pytestmark = pytest.mark.system

BLOCKS = """
import threading

def filter(result):
    if result.seq >= 20:
        threading.Event().wait()
    return result
"""


def config(folder: Path, bundle: Path, more: str) -> Path:
    path = folder / "edgesdk.yaml"
    camera = '{name: belt, source: "conveyor:?fps=60", live: true, mode: freshest}'
    path.write_text(
        f"bundle: {bundle}\ndevice: {{name: gate-1}}\ncameras: [{camera}]\npipeline: {{tune: 'off'}}\n{more}"
    )
    return path


def edgesdk_agent(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgesdk_agent.main", *words], capture_output=True, text=True, check=False, env=env
    )


@pytest.fixture
def manager(tmp_path: Path) -> object:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_RUNTIME_DIR": str(folder),
        "NOTIFY_SOCKET": str(folder / "notify"),
        "WATCHDOG_USEC": "1500000",
    }


def test_a_running_agent_tells_everybody_how_it_does(
    digits_bundle: Path, tmp_path: Path, manager: socket.socket
) -> None:
    env = environment(tmp_path)
    file = config(tmp_path, digits_bundle, "health: {interval_s: 0.2}\nmetrics: {port: 0}\n")
    with AgentProcess("--config", file, "--no-mqtt", "--log-format", "json", env=env) as agent:
        heard = [manager.recv(4096)]
        while not any(one.startswith(b"WATCHDOG=1") for one in heard):
            heard.append(manager.recv(4096))
        assert heard[0] == b"READY=1\nSTATUS=running"
        status_file = tmp_path / "edgesdk/gate-1.status.json"
        wait_until(
            lambda: status_file.exists() and json.loads(status_file.read_text())["frames"]["frames"]["processed"] > 5,
            "frames",
        )
        said = edgesdk_agent("status", "--json", env=env)
        (status,) = json.loads(said.stdout)
        assert said.returncode == 0, said.stdout
        assert (status["running"], status["pid"], status["device"]) == (True, agent.pid, "gate-1")
        assert {"cameras_producing", "inference_advancing", "memory"} <= {one["check"] for one in status["findings"]}
        bundle = edgesdk_agent("support-bundle", str(tmp_path / "s.zip"), "--config", str(file), env=env)
        assert bundle.returncode == 0, bundle.stderr
        with zipfile.ZipFile(tmp_path / "s.zip") as archive:
            assert b"in wait" in archive.read("threads.txt")
        port = _metrics_port(agent.pid)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        assert re.search(r'edgesdk_frames_processed_total\{camera="belt"\} [1-9]', page)
        assert 'edgesdk_stage_seconds{stage="infer",quantile="0.95"}' in page
        agent.send(2)
        code, _ = agent.finish(30)
    assert code == 0, agent.log
    lines = [json.loads(line) for line in agent.log.splitlines()]
    assert any(f":{port}/metrics" in line["message"] for line in lines)
    assert edgesdk_agent("status", env=env).returncode == 1


@pytest.mark.parametrize("timeout_s", [5, 0.2], ids=["the thread is held", "the thread is let go"])
def test_an_agent_that_stands_still_says_where_and_ends_with_its_own_code(
    timeout_s: float, digits_bundle: Path, tmp_path: Path, manager: socket.socket
) -> None:
    (tmp_path / "blocks.py").write_text(BLOCKS)
    stages = f"hooks_path: .\nstages: {{on_result: 'blocks:filter', timeout_s: {timeout_s}}}\n"
    more = f"{stages}health: {{interval_s: 0.2, stall_s: 0.6, exit_after_s: 1.5}}\n"
    file = config(tmp_path, digits_bundle, more)
    with AgentProcess("--config", file, "--no-mqtt", env=environment(tmp_path)) as agent:
        code, _ = agent.finish(60)
    assert code == EXIT_STALLED, agent.log
    assert "blocks.py" in agent.log, "what each thread did is in the log"
    assert "the agent ends, so that the service manager starts it afresh" in agent.log


def _metrics_port(pid: int) -> int:
    """Return the one TCP port on which the process listens."""
    import psutil

    (port,) = {one.laddr.port for one in psutil.Process(pid).net_connections("tcp") if one.status == "LISTEN"}
    return int(port)
