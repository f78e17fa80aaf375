"""A simulated fleet against a real broker and a real collector: what it says is stored, whatever its devices do wrong."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.app import run
from edgesdk.fleet.store.records import Asked, Records
from edgesdk_testkit.brokers import PATIENCE_S, RealBroker, running_broker
from edgesdk_testkit.certificates import make_certificates
from edgesdk_testkit.recorder_process import RecorderProcess

pytestmark = pytest.mark.system


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[RealBroker]:
    with running_broker("mosquitto", tmp_path / "broker") as running:
        yield running


def _sim(url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgesdk", "sim", "--broker", url, "--json", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _done(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, log = process.communicate(timeout=3 * PATIENCE_S)
    assert process.returncode == 0, log
    found: dict[str, Any] = json.loads(output)
    return found


def _stored(db: Path) -> int:
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def test_all_that_a_fleet_with_every_fault_reports_is_stored_once(mosquitto: RealBroker, tmp_path: Path) -> None:
    db = tmp_path / "fleet.db"
    with RecorderProcess(mosquitto.url, db) as recorder:
        process = _sim(
            mosquitto.url, "--devices", "60", "--rate", "8", "--profile", "shop", "--duration", "4", "--drain", "30",
            "--faults", "disconnect=0.3,duplicate=0.3,malformed=0.3,clock=0.3,slow=0.3",
        )  # fmt: skip
        told = _done(process)
        code, done = recorder.finish()
    assert code == 0, recorder.log
    assert "Traceback" not in recorder.log
    assert (told["kept"], told["told_stored"]) == (0, told["made"])
    assert _stored(db) == done["stored"] == told["made"] > 500
    assert told["malformed"] > 0
    assert done["refused"] >= told["malformed"]
    assert done["duplicates"] > 0
    with Records(db) as held:
        nodes = {row["node"]: row for row in held.nodes()}
        assert sorted(nodes) == [f"local.sim-{number:05d}" for number in range(1, 61)]
        assert not any(row["missing"] for row in nodes.values())
        kinds = {row["kind"] for row in held.find(Asked(), limit=None)}
    assert kinds >= {"result", "telemetry"}


def test_a_fleet_is_sent_again_what_a_broker_and_a_collector_took_with_them(
    mosquitto: RealBroker, tmp_path: Path
) -> None:
    db = tmp_path / "fleet.db"
    first = RecorderProcess(mosquitto.url, db).wait_ready()
    process = _sim(mosquitto.url, "--devices", "40", "--rate", "5", "--duration", "6", "--drain", "60")
    try:
        _wait_stored(db, 100)
        first.kill()
        mosquitto.kill()
        mosquitto.start()
        with RecorderProcess(mosquitto.url, db, "--wait") as second:
            told = _done(process)
            second.finish()
    finally:
        process.kill()
    # Each device was thrown off, and is back.
    assert (told["connected"], told["lost_connections"]) == (40, 40)
    assert told["resent"] > 0
    assert _stored(db) == told["made"] == told["told_stored"]


def test_devices_come_with_their_own_certificates_and_ctrl_c_says_goodbye_for_each(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "tls")
    devices = tmp_path / "devices"
    devices.mkdir()
    for number in (1, 2, 3):
        (devices / f"local.sim-{number:05d}.crt").write_bytes(files.client.read_bytes())
        (devices / f"local.sim-{number:05d}.key").write_bytes(files.client_key.read_bytes())
    extra = (
        f"cafile {files.ca}",
        f"certfile {files.server}",
        f"keyfile {files.server_key}",
        "require_certificate true",
    )
    with running_broker("mosquitto", tmp_path / "broker", extra=extra) as broker:
        url = f"mqtts://localhost:{broker.port}"
        ca, db = ("--ca", str(files.ca)), tmp_path / "fleet.db"
        own = ("--cert", str(files.client), "--key", str(files.client_key))
        with RecorderProcess(url, db, *ca, *own) as recorder:
            process = _sim(url, "--devices", "3", "--rate", "10", *ca, "--certs", str(devices))
            _wait_stored(db, 10)
            process.send_signal(signal.SIGINT)
            told = _done(process)
            recorder.finish()
        # Without a certificate nobody is let in: the control.
        refused = _done(_sim(url, "--devices", "1", *ca, "--duration", "1", "--drain", "0"))
    assert (told["connections"], told["lost_connections"], told["problem"]) == (3, 0, "")
    with contextlib.closing(sqlite3.connect(db)) as connection:
        said = connection.execute("SELECT DISTINCT said, reason FROM now").fetchall()
    assert said == [("offline", "stopped")]
    assert (refused["connections"], refused["connected"]) == (0, 0)
    assert refused["problem"]


def test_what_cannot_be_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_broker("mosquitto", tmp_path / "broker") as broker:
        broker.kill()
        assert run(["sim", "--broker", broker.url, "--duration", "1"]) == 1
        assert "No broker answers" in capsys.readouterr().err
    assert run(["sim", "--profile", "lazy"]) == 2
    assert run(["sim", "--faults", "slow=7"]) == 2
    assert run(["sim", "--devices", "99999"]) == 2
    assert run(["sim", "--tenant", "a/b"]) == 2
    assert run(["sim", "--certs", str(tmp_path)]) == 2
    assert "mqtts://" in capsys.readouterr().err


def _wait_stored(db: Path, count: int) -> None:
    import time

    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.Error):
            if _stored(db) >= count:
                return
        time.sleep(0.05)
    raise AssertionError(f"{count} reports are not stored")
