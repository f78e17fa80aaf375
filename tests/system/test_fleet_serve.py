"""`edgesdk fleet serve`: one command to a live picture, and nothing left behind when it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import Event, encode
from edgesdk_testkit.brokers import Ear
from edgesdk_testkit.commanded_device import CommandedDevice, utc
from edgesdk_testkit.fleet_service import PASSWORD, csrf_of
from edgesdk_testkit.serve_process import Serve, set_up, until

pytestmark = pytest.mark.system
JPEG = b"\xff\xd8\xff\xdb" + b"\0" * 64 + b"\xff\xd9"


def test_one_command_to_a_live_picture(tmp_path: Path) -> None:
    with (
        Serve(tmp_path / "fleet.db", "--broker-port", "0", "--home-assistant") as serve,
        set_up(serve.told) as client,
        Ear(BrokerAddress.parse(serve.told["broker"]), "homeassistant/#") as home,
    ):
        # This device does not say again what was not stored, as an agent would.
        until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"] == "")
        with CommandedDevice(BrokerAddress.parse(serve.told["broker"]), "local.gate-1") as device:
            device.telemetry(25.0)
            device.event("hot", "81 °C")
            announced = home.wait_for(lambda heard: len(heard) > 0)[0]
            assert "fps" in json.loads(announced.payload)["components"]

            def there() -> Any:
                found = client.get("/api/v1/devices/local.gate-1")
                return found.status_code == 200 and found.json()["figures"]["fps"] == 25.0 and found.json()

            shown = until(there)
            assert (shown["state"], shown["bundle_name"]) == (
                "online",
                "digits",
            )
            assert until(lambda: client.get("/api/v1/events").json()["events"])[0]["name"] == "hot"
            assert client.get("/api/v1/fleet").json()["collector"]["problem"] == ""
            device.picture(JPEG)
            (shown,) = until(lambda: client.get("/api/v1/snapshots?node=local.gate-1").json()["snapshots"])
            file = client.get(f"/api/v1/snapshots/{shown['id']}/file")
            assert file.headers["content-type"] == "image/jpeg"
            assert file.content.endswith(JPEG[2:])
            # Who may write anywhere, as this broker has no access rules, speaks on another one's topic.
            forged = Event(node="local.thief", at=utc(), epoch="e1", seq=1, name="hot")
            device._publish("edgesdk/1/local.gate-1/up/event", encode(forged).payload, retain=False)
            (told,) = until(lambda: client.get("/api/v1/events?name=spoofed_topic").json()["events"])
            assert (told["node"], told["data"]["says"]) == ("local.gate-1", "local.thief")
            assert "says that it is of local.thief: refused" in client.get("/").text
            rules = tmp_path / "alerts.yaml"
            rules.write_text("rules:\n  - {name: away, kind: offline_for, limit: 1, clear_for_s: 0}\n")
            said = [sys.executable, "-m", "edgesdk", "fleet", "alerts", "apply", str(rules), "--db", "fleet.db"]
            subprocess.run(said, cwd=tmp_path, check=True, capture_output=True, timeout=60)
            device.state("offline")
            (alert,) = until(lambda: client.get("/api/v1/alerts?state=firing").json()["alerts"])
            assert (alert["rule"], alert["node"]) == ("away", "local.gate-1")
            device.state("online")
            until(lambda: client.get("/api/v1/alerts?state=cleared").json()["alerts"])
        assert serve.finish(signal.SIGINT) in (0, 130)
    # The store is free again: nothing of it went on.
    with Serve(tmp_path / "fleet.db", "--broker-port", "0") as again:
        assert again.told["setup"] is None, "the administrator is known"
        assert again.finish(signal.SIGTERM) in (0, 143, 130)


def test_no_password_stands_in_arguments_or_in_what_is_printed(tmp_path: Path) -> None:
    """Anybody on the machine may read a process's arguments: the collector gets broker and store by its environment."""
    with Broker(port=0, username="fleet", password="s3cret-broker") as broker:
        url = f"mqtt://fleet:s3cret-broker@127.0.0.1:{broker.address.port}"
        with Serve(tmp_path / "fleet.db", "--broker", url) as serve, set_up(serve.told) as client:
            until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"] == "")
            (collector,) = psutil.Process(serve.process.pid).children(recursive=True)
            assert not any("s3cret" in word or "fleet.db" in word for word in collector.cmdline())
            assert "s3cret" not in json.dumps(serve.told)
            serve.finish(signal.SIGINT)


def test_killed_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with Serve(tmp_path / "fleet.db", "--broker-port", "0") as serve, set_up(serve.told) as client:
        until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"] == "")
        serve.process.kill()
        serve.process.wait()
    # The collector warns of this when it starts. It records all the same, and nobody is told that it does not.
    (tmp_path / "fleet.db").chmod(0o644)
    with Serve(tmp_path / "fleet.db", "--broker-port", "0") as again:
        with httpx.Client(base_url=again.told["url"].rstrip("/")) as client:
            form = {"csrf": csrf_of(client.get("/login").text), "name": "admin", "password": PASSWORD, "next": "/"}
            assert client.post("/login", data=form).status_code == 303
            until(lambda: client.get("/api/v1/fleet").json()["collector"]["problem"] == "")
        again.finish(signal.SIGINT)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("--host", "0.0.0.0"), "--open-to-network"), (("--certificate", "a.pem"), "both --certificate and --key"),
     (("--db", "mysql://x/y"), "not supported"), (("--broker", "http://x"), "mqtt://")],
)  # fmt: skip
def test_what_cannot_be_is_said(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", "fleet", "serve", "--broker-port", "0", "--port", "0", *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert says in done.stderr


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "edgesdk", "fleet", "serve", "--broker-port", "0", "--port",
             str(taken.getsockname()[1])],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode in (1, 2)
    assert "Another service may run there" in done.stderr
