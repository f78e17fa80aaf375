"""What a fleet's service makes of bad input, as processes: it says what is wrong, shows it, loses nothing and goes on."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest

from edgesdk.fleet.store.engine import open_store
from edgesdk_testkit.brokers import free_port
from edgesdk_testkit.serve_process import Serve, set_up, until

pytestmark = pytest.mark.system
RESULTS = "edgesdk/1/local.gate-1/up/result"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet") / "fleet.db"


@pytest.fixture(scope="module")
def serve(path: Path) -> Iterator[Serve]:
    with Serve(path, "--broker-port", "0") as running:
        yield running


@pytest.fixture(scope="module")
def client(serve: Serve) -> Iterator[httpx.Client]:
    with set_up(serve.told) as made:
        until(lambda: made.get("/api/v1/fleet").json()["collector"]["problem"] == "")
        yield made


@pytest.fixture(scope="module")
def store(path: Path, client: httpx.Client) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def result(seq: int, **more: Any) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = {
        "schema": "result/1", "node": "local.gate-1", "at": at, "epoch": "e1", "seq": seq, "camera": "c", "frame": seq,
        "captured_at": at, "age_ms": 5.0, "result": {"kind": "text", "text": "A"},
    }  # fmt: skip
    return json.dumps(said | more).encode()


def say(serve: Serve, *payloads: bytes) -> None:
    """Publish results as a device does, and wait until the broker has them."""
    host, _, port = serve.told["broker"].removeprefix("mqtt://").partition(":")
    device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    device.connect(host, int(port))
    device.loop_start()
    for payload in payloads:
        device.publish(RESULTS, payload, qos=1).wait_for_publish(30)
    device.disconnect()
    device.loop_stop()


def stored(store: sqlite3.Connection) -> dict[int, int]:
    """Return what is stored, each number with its time."""
    return dict(store.execute("SELECT seq, at_ms FROM records").fetchall())


def test_an_unknown_schema_and_an_absurd_clock_cost_nothing_that_can_be_read(
    serve: Serve, client: httpx.Client, store: sqlite3.Connection
) -> None:
    began_ms = int(time.time() * 1000)
    absurd = [{"at": "1970-01-01T00:00:10Z"}, {"at": "2099-01-01T00:00:10Z"}]
    say(serve, result(1), result(2, schema="result/9"), *(result(3 + n, **at) for n, at in enumerate(absurd)))
    found = until(lambda: (now := stored(store)) and len(now) == 3 and now)
    # A clock that cannot be right is not believed: under its time a report would be forgotten at once for its age.
    assert all(at_ms >= began_ms - 2000 for at_ms in found.values())
    assert set(found) == {1, 3, 4}
    page = client.get("/search?what=unreadable").text
    assert "this version of edgesdk reads result/1" in page
    assert client.get("/api/v1/devices/local.gate-1").json()["epochs"][0]["upto"] == 4, "it need not say it again"


def test_while_the_store_is_locked_the_page_says_so_and_what_came_meanwhile_is_stored_after(
    serve: Serve, client: httpx.Client, store: sqlite3.Connection
) -> None:
    store.execute("BEGIN IMMEDIATE")
    try:
        say(serve, result(5))
        problem = until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"])
        assert "locked" in problem
        page = client.get("/").text
        assert "Nothing is being recorded." in page
        assert "locked" in page
        # Work in rounds meets it too.
        time.sleep(6)
    finally:
        store.execute("ROLLBACK")
    until(lambda: 5 in stored(store))
    until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"] == "")


def test_at_its_end_it_has_said_it_in_words(serve: Serve, client: httpx.Client) -> None:
    """Last of those that share it: over what was done above."""
    assert client.get("/").status_code == 200
    assert serve.finish(signal.SIGINT) in (0, 130)
    assert serve.process.stderr is not None
    said = serve.process.stderr.read()
    assert "database is locked" in said
    assert "Traceback" not in said


def test_a_broker_that_is_gone_at_the_start_is_waited_for_and_said(tmp_path: Path) -> None:
    broker = f"mqtt://127.0.0.1:{free_port()}"
    with Serve(tmp_path / "fleet.db", "--broker", broker) as serve, set_up(serve.told) as client:
        problem = until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"].partition("starting")[0])
        assert until(lambda: broker.removeprefix("mqtt://") in client.get("/").text), problem
        assert serve.process.poll() is None
        assert serve.finish(signal.SIGINT) in (0, 130)


@pytest.mark.parametrize(("version", "says"), [("0003", "edgesdk fleet migrate"), ("9999", "pip install --upgrade")])
def test_a_store_of_another_version_is_refused_with_what_to_do(tmp_path: Path, version: str, says: str) -> None:
    path = tmp_path / "fleet.db"
    open_store(path).dispose()
    with sqlite3.connect(path) as store:
        store.execute("UPDATE alembic_version SET version_num = ?", (version,))
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", "fleet", "serve", "--db", str(path), "--broker-port", "0", "--port", "0"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
