"""A broker that asks for certificates is restarted: how long until every device is back, and whether anything is lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgesdk.fleet import broker as fleet_broker
from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.enrol.broker_files import write_broker_files
from edgesdk.fleet.hardened_broker import HardenedBroker
from edgesdk.fleet.sim.profiles import PROFILES
from edgesdk.fleet.sim.simulation import Plan
from edgesdk_testkit.brokers import free_port
from edgesdk_testkit.hardened_brokers import device_files
from edgesdk_testkit.recorder_process import RecorderProcess


def reconnection(devices: int, *, before_s: float = 8.0, after_s: float = 60.0) -> dict[str, Any]:
    """Restart a hardened broker under devices that come with certificates of their own, each reporting once a second."""
    with tempfile.TemporaryDirectory(prefix="edgesdk-capacity-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        authority = Authority.create(folder / "authority")
        for node in Plan(devices, PROFILES["results"]).nodes():
            device_files(folder / "devices", authority, str(node))
        port, service_port = free_port(), free_port()
        broker_folder = folder / "broker"
        settings = HardenedBroker(
            installed_at=broker_folder, host="127.0.0.1", port=port, service_port=service_port, user="root"
        )
        write_broker_files(broker_folder, settings, authority, ("localhost",))
        broker = _Broker(broker_folder)
        stack.callback(broker.kill)
        broker.start()
        store, ca = folder / "fleet.db", str(broker_folder / "ca.crt")
        services = broker_folder / "services"
        collector = RecorderProcess(
            f"mqtts://localhost:{service_port}", store, "--wait", "--keep", "0", "--ca", ca,
            "--cert", str(services / "fleet.crt"), "--key", str(services / "fleet.key"),
        )  # fmt: skip
        stack.callback(collector.kill)
        collector.wait_ready()
        command = [
            sys.executable, "-m", "edgesdk", "sim", "--devices", str(devices), "--profile", "results", "--broker",
            f"mqtts://localhost:{port}", "--ca", ca, "--certs", str(folder / "devices"), "--duration",
            str(before_s + after_s), "--drain", "30", "--within", str(before_s / 2), "--json",
        ]  # fmt: skip
        devices_process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        stack.callback(devices_process.kill)
        with contextlib.suppress(subprocess.TimeoutExpired):
            devices_process.wait(before_s)
        broker.kill()
        broker.start()
        output, _ = devices_process.communicate()
        told = json.loads(output)
        collector.finish()
        rows = _rows(store)
    return {
        "devices": devices,
        "back": told["connected"],
        "connections": told["connections"],
        "back_after_ms": told["back_after_ms"],
        "made": told["made"],
        "stored_rows": rows,
        "lost": told["made"] - rows,
        "kept": told["kept"],
        "resent": told["resent"],
    }


class _Broker:
    """mosquitto with the configuration that `edgesdk fleet broker-config` writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = fleet_broker.find_broker("mosquitto").path
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=log
            )

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def _rows(store: Path) -> int:
    import sqlite3

    with contextlib.closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])
