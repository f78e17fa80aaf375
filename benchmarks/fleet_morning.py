"""The morning: every device of a store comes back within a minute, through the real broker and the real collector.

Meanwhile one browser asks for pages and figures, as a person does who wants to see whether all are back.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from fleet_pages import measure
from typing_extensions import Self

from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import (
    Birth,
    BundleName,
    Message,
    Percentiles,
    ResultMessage,
    Sample,
    State,
    Telemetry,
    encode,
    topic_of,
)
from edgesdk_testkit.fleet_service import PASSWORD, csrf_of

MORNING_S = 55.0
_PATIENCE_S = 120.0
_RESULTS_EACH = 5


def morning(folder: Path, devices: int, *, times: int = 40) -> dict[str, Any]:
    """Return what a browser waited before and meanwhile, when all were seen, and what was stored of what they said."""
    epoch = f"morning-{int(time.time())}"
    with _served(folder) as told, _logged_in(told) as client:
        before = measure(client, devices, times, named=_name)
        asked = _Asking(client, devices)
        began = time.monotonic()
        with asked, _Shop(told["broker"], devices, epoch) as shop:
            shop.wait()
            last_s = time.monotonic() - began
            seen_s = _until_all_are_seen(client, devices) - began
            stored = _until_stored(folder / "fleet.db", epoch, shop.said)
        meanwhile = asked.waited()
    return {
        "devices": devices, "file_gb": round(sum(p.stat().st_size for p in folder.glob("fleet.db*") if p.is_file()) / 1e9, 2),
        "media_gb": round(sum(p.stat().st_size for p in (folder / "fleet.db-media").rglob("*.jpg")) / 1e9, 2),
        "rows": _rows(folder / "fleet.db"), "ms": before,
        "morning": {"reconnected_s": round(last_s, 1), "all_seen_after_s": round(seen_s - last_s, 1), "reports": shop.said,
                    "stored": stored, "ms": meanwhile},
    }  # fmt: skip


class _Shop:
    """All devices, each an ordinary MQTT client; they connect one after the other within the morning."""

    def __init__(self, broker: str, devices: int, epoch: str) -> None:
        self._address = BrokerAddress.parse(broker)
        self._epoch = epoch
        self._clients: list[mqtt.Client] = []
        self._connecting = threading.Thread(target=self._connect_all, args=(devices,), daemon=True)
        # Numbered reports of each device: telemetry, and results.
        self.said = devices * (1 + _RESULTS_EACH)

    def __enter__(self) -> Self:
        self._connecting.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.disconnect()
            client.loop_stop()

    def wait(self) -> None:
        """Wait until the last one has connected."""
        self._connecting.join(_PATIENCE_S)

    def _connect_all(self, devices: int) -> None:
        began = time.monotonic()
        for number in range(1, devices + 1):
            time.sleep(max(0.0, began + (number - 1) * MORNING_S / devices - time.monotonic()))
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=_name(number), protocol=mqtt.MQTTv5)
            client.connect(self._address.host, self._address.port)
            client.loop_start()
            self._clients.append(client)
            for message, retain in self._words(_name(number)):
                client.publish(str(topic_of(message)), encode(message).payload, qos=1, retain=retain)

    def _words(self, node: str) -> Iterator[tuple[Message, bool]]:
        at = datetime.now(timezone.utc)
        head: dict[str, Any] = {"node": node, "at": at, "epoch": self._epoch}
        yield Birth(**head, seq=1, boot_id="morning", session=1, target="rpi5", agent_version="0.2.0",
                    bundle=BundleName(name="counter", version="1.2.0")), True  # fmt: skip
        yield State(**head, seq=1, state="online", boot_id="morning", session=1), True
        sample = Sample(at=at, window_s=10, fps=15, age_ms=Percentiles(p50=35, p95=90, p99=140), temperature_c=48)
        yield Telemetry(**head, seq=1, samples=(sample,)), False
        answer = {"kind": "detections", "objects": [{"label": "person", "score": 0.9, "box": [1, 2, 3, 4]}]}
        for seq in range(2, 2 + _RESULTS_EACH):
            yield (
                ResultMessage(**head, seq=seq, camera="door", frame=seq, captured_at=at, age_ms=40, result=answer),
                False,
            )


class _Asking:
    """One browser that asks for one thing after the other, four times a second."""

    def __init__(self, client: httpx.Client, devices: int) -> None:
        self._client = client
        self._devices = devices
        self._stop = threading.Event()
        self._times: dict[str, list[float]] = {"overview": [], "list": [], "series": [], "fleet_chart": []}
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE_S)

    def waited(self) -> dict[str, dict[str, float]]:
        """Return what was waited, in milliseconds."""
        return {
            name: {"p50": round(statistics.median(ms), 1), "p95": round(sorted(ms)[int(len(ms) * 0.95)], 1),
                   "max": round(max(ms), 1), "asked": len(ms)}
            for name, ms in self._times.items()
        }  # fmt: skip

    def _ask(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            for name, address in (
                ("overview", "/"), ("list", "/devices"), ("fleet_chart", "/api/v1/fleet/series"),
                ("series", f"/api/v1/devices/{_name(1 + number * 37 % self._devices)}/series?names=fps,age_p95_ms"),
            ):  # fmt: skip
                began = time.perf_counter()
                self._client.get(address).raise_for_status()
                self._times[name].append((time.perf_counter() - began) * 1000)
                self._stop.wait(0.25)


def _name(number: int) -> str:
    return f"local.shop-{number:03}"


@contextmanager
def _served(folder: Path) -> Iterator[dict[str, Any]]:
    command = [
        sys.executable,
        "-m",
        "edgesdk",
        "fleet",
        "serve",
        "--db",
        "fleet.db",
        "--port",
        "0",
        "--broker-port",
        "0",
        "--json",
    ]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        text = ""
        for line in process.stdout or ():
            text += line
            if line == "}\n":
                break
        yield json.loads(text)
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


@contextmanager
def _logged_in(told: dict[str, Any]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=told["url"].rstrip("/"), timeout=60) as client:
        where = "/setup" if told["setup"] else "/login"
        form = {"csrf": csrf_of(client.get(where).text), "name": "admin", "password": PASSWORD}
        if told["setup"]:
            form |= {"again": PASSWORD, "code": told["setup"].partition("code=")[2]}
        client.post(where, data=form, follow_redirects=False)
        # Until the collector listens, nothing would be stored; these clients say everything once.
        _until(lambda: not client.get("/api/v1/fleet").raise_for_status().json()["collector"]["problem"])
        yield client


def _until_all_are_seen(client: httpx.Client, devices: int) -> float:
    _until(lambda: client.get("/api/v1/fleet").json()["states"]["online"] >= devices)
    return time.monotonic()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not true():
        if time.monotonic() > end:
            raise SystemExit("fleet_morning: this never became true; look at what the service says")
        time.sleep(0.1)


def _until_stored(db: Path, epoch: str, said: int) -> int:
    question = "SELECT count(*) FROM records r JOIN streams s ON s.id = r.stream WHERE s.epoch = ?"
    end = time.monotonic() + _PATIENCE_S
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        while (found := int(connection.execute(question, (epoch,)).fetchone()[0])) < said and time.monotonic() < end:
            time.sleep(0.2)
    return found


def _rows(db: Path) -> dict[str, int]:
    """Return how large the tables are, by their greatest number or by what each device has; to count would take minutes."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        one = {
            "samples": connection.execute("SELECT max(id) FROM samples").fetchone()[0],
            "records": connection.execute("SELECT max(id) FROM records").fetchone()[0],
        }
        devices = connection.execute("SELECT count(*) FROM nodes").fetchone()[0]
        for table in ("sample_minutes", "sample_hours"):
            each = connection.execute(f"SELECT count(*) FROM {table} WHERE node = 1").fetchone()[0]  # noqa: S608
            one[table] = each * devices
        one["snapshots"] = connection.execute("SELECT count(*) FROM snapshots").fetchone()[0]
    return one
