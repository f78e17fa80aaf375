"""The life of a device at `fleet serve --authority`: ordered, online, told of a change, renewed, revoked. By commands alone.

Broker, service, collector, agent and shell are processes of their own, in folders that were empty before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgesdk.fleet.enrol.authority import Authority
from edgesdk_testkit.fleet_service import csrf_of
from edgesdk_testkit.hardened_brokers import HardenedProcess, hardened_broker
from edgesdk_testkit.serve_process import Serve, set_up, until
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

pytestmark = pytest.mark.system
NODE = "shop.door-1"
TEMPLATE = """bundle: tiny
cameras: [{name: door, source: "synthetic:?fps=10"}]
telemetry: {interval_s: 1.0}
"""


class Operator:
    """Somebody at a terminal of the fleet's machine."""

    def __init__(self, folder: Path, broker: HardenedProcess) -> None:
        cert, key = broker.service_files
        self.folder = folder
        self._files = ("--ca", str(broker.folder / "ca.crt"), "--cert", str(cert))
        self._key = str(key)
        self._services = f"mqtts://localhost:{broker.service_port}"

    def services(self, key: str = "--key") -> tuple[str, ...]:
        """The options by which the fleet's own programs reach the broker."""
        return ("--broker", self._services, *self._files, key, self._key)

    def does(self, *arguments: str, code: int = 0) -> Any:
        """Run `edgesdk fleet …` and return what it prints as JSON."""
        command = [sys.executable, "-m", "edgesdk", "fleet", *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def drift(self) -> list[str]:
        command = [sys.executable, "-m", "edgesdk", "fleet", "template", "drift", "--db", "fleet.db", "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        (device,) = json.loads(done.stdout)["devices"]
        assert done.returncode == (3 if device["differs"] else 0)
        return list(device["differs"])


@contextmanager
def agent(folder: Path, config: str) -> Iterator[subprocess.Popen[bytes]]:
    """The service's step, as a process of this user."""
    command = [sys.executable, "-m", "edgesdk_agent.main", "run", "--config", config]
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def paste(line: str, device: Path) -> subprocess.CompletedProcess[str]:
    """Paste a line on a device where the agent's program is there already, by somebody who is not its administrator."""
    programs = device.with_name("programs") / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "edgesdk-agent").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgesdk_agent.main "$@"\n')
    (programs / "edgesdk-agent").chmod(0o755)
    line = line.replace("| sudo sh", "| sh") + f" --venv {programs.parent} --home {device} --json"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False)


def token_of(line: str) -> str:
    return line.partition("EDGESDK_ENROL_TOKEN=")[2].partition(";")[0]


def test_a_devices_life(tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    (tmp_path / "shelf").mkdir()
    write_tiny_bundle(tmp_path / "shelf/tiny.edgebundle")
    with hardened_broker(tmp_path / "broker", Authority.create(authority)) as broker:
        operator = Operator(tmp_path, broker)
        pair = operator.does("service-certificate", "localhost", "127.0.0.1", "--authority", str(authority))
        serving = (
            *operator.services("--cert-key"), "--certificate", pair["certificate"], "--key", pair["key"],
            "--authority", str(authority), "--device-broker", f"mqtts://localhost:{broker.port}", "--bundles", "shelf",
            "--crl", str(broker.folder / "crl.pem"), "--broker-reload", f"kill -HUP {broker.process.pid}",
        )  # fmt: skip
        with Serve(tmp_path / "fleet.db", *serving) as serve, set_up(serve.told, ca=authority / "ca.crt") as browser:
            (tmp_path / "door.yaml").write_text(TEMPLATE)
            operator.does("template", "set", "door", "door.yaml", "--db", "fleet.db")
            server = serve.told["url"].rstrip("/").replace("127.0.0.1", "localhost")
            (ordered,) = operator.does(
                "enrol", "door-1", "--tenant", "shop", "--template", "door", "--tag", "entrance", "--server", server,
                "--db", "fleet.db", "--authority", str(authority),
            )["devices"]  # fmt: skip
            done = paste(ordered["line"], tmp_path / "device")
            assert done.returncode == 0, done.stderr
            config = json.loads(done.stdout)["config"]
            with agent(tmp_path, config) as process:

                def shown() -> Any:
                    found = browser.get(f"/api/v1/devices/{NODE}")
                    return found.status_code == 200 and found.json()["state"] == "online" and found.json()

                assert until(shown)["tags"] == ["entrance"]
                until(lambda: (browser.get(f"/api/v1/devices/{NODE}").json()["figures"]["fps"] or 0) > 0)
                assert ("enrol.claim", "ok") in _audit(browser)
                _no_second_use(ordered["line"], tmp_path)
                assert ("enrol.claim", "refused") in _audit(browser)
                _a_change_arrives(operator, tmp_path / "door.yaml")
                _a_change_arrives_by_the_page(operator, browser)
                _renewed(tmp_path / "device")
                _revoked(browser)
                until(lambda: browser.get(f"/api/v1/devices/{NODE}").json()["state"] == "revoked")
                # It is away and does not come back, though it tries: what it said last is that it left.
                until(lambda: "not authorised" in _log(tmp_path) or "certificate" in _log(tmp_path))
                assert process.poll() is None
            assert token_of(ordered["line"]) not in _log(tmp_path) + done.stderr


def _audit(browser: Any) -> list[tuple[str, str]]:
    entries = browser.get("/api/v1/audit").json()["entries"]
    return [(entry["action"], entry["outcome"]) for entry in entries]


def _no_second_use(line: str, folder: Path) -> None:
    again = paste(line, folder / "thief")
    assert again.returncode != 0
    assert "refuses" in again.stderr
    other = paste(line.replace(token_of(line), "enrol-" + "a" * 26), folder / "guess")
    assert "refuses" in other.stderr
    assert not (folder / "thief/edgesdk.yaml").exists()


def _a_change_arrives(operator: Operator, template: Path) -> None:
    until(lambda: operator.drift() == [])
    template.write_text(TEMPLATE.replace("interval_s: 1.0", "interval_s: 2.0"))
    operator.does("template", "set", "door", template.name, "--db", "fleet.db")
    assert operator.drift() == ["it is configured otherwise than the template wants it"]
    pushed = ("template", "push", "door", "--db", "fleet.db", *operator.services())
    (told,) = operator.does(*pushed)["devices"]
    assert (told["state"], told["fields"], told["left"]) == ("applied", {"telemetry.interval_s": 2.0}, [])
    until(lambda: operator.drift() == [])
    (again,) = operator.does(*pushed)["devices"]
    assert (again["state"], again["version"]) == ("as wanted", told["version"]), "nothing is sent twice"
    # What is not for a template to reach from afar is named, and stays drift.
    template.write_text(TEMPLATE.replace("interval_s: 1.0", "interval_s: 2.0").replace("tiny", "larger"))
    operator.does("template", "set", "door", template.name, "--db", "fleet.db")
    (named,) = operator.does(*pushed, code=3)["devices"]
    assert named["left"] == ["bundle: another one comes by a roll-out"]


def _a_change_arrives_by_the_page(operator: Operator, browser: httpx.Client) -> None:
    """As an administrator's browser sends it; the service's own connection takes it to the device."""
    body = {"before": "door", "note": "", "text": TEMPLATE.replace("interval_s: 1.0", "interval_s: 3.0")}
    body["csrf"] = csrf_of(browser.get("/templates/door").text)
    assert browser.post("/templates", data=body).status_code == 303
    assert "1 of 1 differs" in browser.get("/templates").text
    confirmed = {"csrf": body["csrf"], "expect": "1", "sure": "on"}
    pushed = browser.post("/templates/door/push", data={**confirmed, "expect": "2"})
    assert "This means 1 by now, not 2." in pushed.text
    pushed = browser.post("/templates/door/push", data=confirmed)
    assert "What became of it" in pushed.text
    until(lambda: operator.drift() == [])
    assert ("template.push", "ok") in _audit(browser)


def _renewed(device: Path) -> None:
    before = (device / "identity/device.pem").read_bytes()
    command = [sys.executable, "-m", "edgesdk_agent.main", "enrol", "--renew", "--home", str(device), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (device / "identity/device.pem").read_bytes() != before


def _revoked(browser: httpx.Client) -> None:
    """By the service alone; `edgesdk fleet revoke` is tried beside, with a broker of its own."""
    csrf = {"x-csrf-token": csrf_of(browser.get("/account").text)}
    done = browser.post(f"/api/v1/devices/{NODE}/revoke", json={"reason": "stolen"}, headers=csrf).json()
    assert len(done["revoked"]) == 2, "both certificates"
    assert done["disconnected"], done["problem"]


def _log(folder: Path) -> str:
    return (folder / "agent.log").read_text()
