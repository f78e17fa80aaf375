"""Alerts of all four kinds, raised by a real agent: its process, a broker, the service, and whoever is told.

Only two things are not the agent's own. Its usual frame rate is that of seven hours, which are written into the store; and
where this machine lets it have a `/sys/class/thermal` of its own, the temperature there is what the test writes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select

from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.tables import jobs, nodes, sample_hours
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.fleet_service import csrf_of
from edgesdk_testkit.http_receiver import HttpReceiver
from edgesdk_testkit.mail_server import Mailbox, mail_server
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.serve_process import Serve, set_up, until
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

pytestmark = [pytest.mark.system, pytest.mark.long]
NODE = "local.gate-1"
HOUR_MS = 3_600_000
# A stage of the user's that takes long while a file says so: as a model does on a device that is too small.
STAGE = """
import time
from pathlib import Path

SLOW = Path(__file__).with_name("slow")

def on_frame(frame):
    if SLOW.exists():
        time.sleep(1.5)
    return frame.image
"""
CONFIG = """
bundle: tiny.edgebundle
device: {{name: gate-1}}
cameras: [{{name: belt, source: "synthetic:?fps=20", live: true, mode: freshest}}]
pipeline: {{tune: 'off'}}
hooks_path: .
stages: {{on_frame: 'stage:on_frame'}}
telemetry: {{interval_s: 0.5}}
health: {{interval_s: 0.2}}
mqtt: {{url: '{broker}'}}
"""


@dataclass
class Site:
    """A service, who is told by it, and the folder of one agent."""

    serve: Serve
    admin: httpx.Client
    hook: HttpReceiver
    box: Mailbox
    heard: MqttListener
    folder: Path
    has_thermal: bool

    @contextmanager
    def agent(self) -> Iterator[AgentProcess]:
        """Run an agent that sees the site's folder as the kernel's list of thermal zones, where it may."""
        text = CONFIG.format(broker=self.serve.told["broker"])
        (self.folder / "edgesdk.yaml").write_text(text)
        (self.folder / "stage.py").write_text(STAGE)
        before = with_thermal(self.folder) if self.has_thermal else ()
        with AgentProcess("--config", self.folder / "edgesdk.yaml", before=before, cwd=self.folder) as process:
            yield process

    def rule(self, **fields: Any) -> None:
        quick = {"for_s": 0, "clear_for_s": 0}
        answer = self.admin.put(f"/api/v1/alert-rules/{fields['name']}", json={**quick, **fields})
        assert answer.status_code == 200, answer.text

    def warm(self, celsius: float) -> None:
        """Write a temperature in one step, as the kernel does."""
        new = self.folder / "new"
        new.write_text(f"{celsius * 1000:.0f}\n")
        new.replace(self.folder / "thermal_zone0/temp")

    def firing(self, rule: str) -> bool:
        return rule in {one["rule"] for one in self.alerts("firing")}

    def alerts(self, state: str = "") -> list[dict[str, Any]]:
        return list(self.admin.get(f"/api/v1/alerts?state={state}").json()["alerts"])

    def figure(self, name: str) -> float:
        found = self.admin.get(f"/api/v1/devices/{NODE}")
        return float(found.json()["figures"][name] or 0) if found.status_code == 200 else 0.0

    def told(self) -> set[tuple[str, str]]:
        """Return each rule and state that the webhook was told."""
        return {(said["rule"], said["state"]) for said in map(json.loads, (body for _, body in self.hook.got))}

    def mailed(self) -> set[str]:
        return {mail["Subject"] for _, mail in self.box.mails}

    def said(self, rule: str) -> list[str]:
        """Return the states that the broker was told of one rule, in their order."""
        topic = f"edgesdk-alerts/{NODE}/{rule}"
        return [one.body["state"] for one in self.heard.heard() if one.topic == topic]

    def rounds(self, count: int) -> None:
        """Wait until so many whole rounds were made from now on."""
        engine = open_store(self.folder.parent / "fleet.db", create=False)
        for _ in range(count):
            began = int(time.time() * 1000)
            until(lambda began=began: self._last_round(engine) > began)  # type: ignore[misc]
        engine.dispose()

    def _last_round(self, engine: Any) -> int:
        with reading(engine) as connection:
            row = connection.execute(select(jobs).where(jobs.c.name == "alerts-look")).one_or_none()
        return 0 if row is None or row.ran_ms is None else int(row.ran_ms - row.took_ms)


def with_thermal(folder: Path) -> tuple[str, ...]:
    """Return what runs a program that sees a folder as the kernel's list of thermal zones; it alone does."""
    root = ["--map-root-user"] if os.geteuid() else []
    mounted = 'mount --bind "$0" /sys/class/thermal && exec "$@"'
    return (shutil.which("unshare") or "unshare", *root, "--mount", "sh", "-c", mounted, str(folder))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "agent/thermal_zone0").mkdir(parents=True)
    (folder / "agent/thermal_zone0/type").write_text("cpu-thermal\n")
    write_tiny_bundle(folder / "agent/tiny.edgebundle")
    tried = subprocess.run([*with_thermal(folder / "agent"), "true"], capture_output=True, check=False)
    with ExitStack() as stack:
        hook = stack.enter_context(HttpReceiver())
        box, port = stack.enter_context(mail_server())
        serve = stack.enter_context(Serve(folder / "fleet.db", "--broker-port", "0", "--alerts-every", "0.2"))
        admin = stack.enter_context(set_up(serve.told))
        admin.headers["x-csrf-token"] = csrf_of(admin.get("/account").text)
        address = BrokerAddress.parse(serve.told["broker"])
        heard = stack.enter_context(MqttListener(address.host, address.port, "edgesdk-alerts/#"))
        url = f"http://127.0.0.1:{hook.port}/a/path"
        mail = {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "fleet@example.org",
            "allow": ["127.0.0.0/8"],
        }
        for name, kind, settings in (
            ("ops", "webhook", {"url": url, "allow": ["127.0.0.0/8"], "secret": "shared"}),
            ("mail", "email", {**mail, "recipients": ["ops@example.org"]}),
            ("lamp", "mqtt", {}),
        ):
            answer = admin.put(f"/api/v1/channels/{name}", json={"kind": kind, "settings": settings})
            assert answer.status_code == 200, answer.text
        made = Site(serve, admin, hook, box, heard, folder / "agent", tried.returncode == 0)
        made.warm(60)
        yield made


@pytest.fixture(scope="module")
def agent(site: Site) -> Iterator[AgentProcess]:
    """Lives until the last test kills it."""
    with site.agent() as process:
        until(lambda: site.figure("fps") > 5)
        yield process


def test_a_slow_device_is_told_by_all_three_ways_and_again_when_it_is_well(site: Site, agent: AgentProcess) -> None:
    """Age and frame rate; and that a silence keeps it from people and not from the pages."""
    slow = site.folder / "slow"
    # As much as the camera gives: what one moment of a busy machine shows may be a fraction of it.
    usual_rate(site.folder.parent / "fleet.db", 20.0)
    silence = {"rules": ["slow"], "until": "2099-01-01T00:00:00Z", "reason": "works on the line"}
    row = site.admin.post("/api/v1/silences", json=silence).json()["id"]
    site.rule(name="late", kind="age_over", limit=1000, clear=800)
    site.rule(name="slow", kind="fps_under", limit=0.1, clear=0.15)
    site.rounds(2)
    # A machine that has just begun with much else may be late at first.
    until(lambda: not site.alerts("firing"))
    slow.touch()
    until(lambda: site.firing("late") and site.firing("slow"))
    until(lambda: ("late", "firing") in site.told())
    assert ("slow", "firing") not in site.told(), "it is silenced"
    assert site.admin.delete(f"/api/v1/silences/{row}").status_code == 200
    until(lambda: ("slow", "firing") in site.told())
    (late,) = [one for one in site.alerts("firing") if one["rule"] == "late"]
    assert late["value"] > 1000
    slow.unlink()
    until(lambda: not site.alerts("firing"))
    until(lambda: {("late", "resolved"), ("slow", "resolved")} <= site.told())
    wanted = {
        f"[WARNING] late: {NODE}",
        f"[WARNING] slow: {NODE}",
        f"[RESOLVED] late: {NODE}",
        f"[RESOLVED] slow: {NODE}",
    }
    until(lambda: wanted <= site.mailed())
    for rule in ("late", "slow"):
        until(lambda rule=rule: site.said(rule)[-2:] == ["firing", "resolved"])  # type: ignore[misc]


def test_a_warm_device_is_told_and_well_only_when_it_is_cool(site: Site, agent: AgentProcess) -> None:
    """The agent reads the kernel's file; between the two limits an alert neither begins nor ends."""
    if not site.has_thermal:
        pytest.skip("this machine lets nobody have a /sys of its own: only a simulated device can be warm here")
    site.rule(name="hot", kind="temperature_over", limit=80, clear=72)
    for celsius, fires in ((76, False), (85, True), (75, True), (71, False), (74, False)):
        site.warm(celsius)
        until(lambda celsius=celsius: site.figure("temperature_c") == celsius)  # type: ignore[misc]
        site.rounds(2)
        assert site.firing("hot") is fires, celsius
    until(lambda: {("hot", "firing"), ("hot", "resolved")} <= site.told())


def test_a_device_that_is_gone_is_told_until_it_is_back(site: Site, agent: AgentProcess) -> None:
    site.rule(name="away", kind="offline_for", limit=0.5, severity="critical")
    site.rounds(1)
    assert not site.firing("away")
    agent.send(signal.SIGKILL)
    until(lambda: ("away", "firing") in site.told())
    with site.agent():
        until(lambda: ("away", "resolved") in site.told())
        wanted = {f"[CRITICAL] away: {NODE}", f"[RESOLVED] away: {NODE}"}
        until(lambda: wanted <= site.mailed())


def usual_rate(db: Path, fps: float) -> None:
    """Write seven hours of the device's past, as the roll-up would have."""
    engine = open_store(db, create=False)
    this_hour = int(time.time() * 1000) // HOUR_MS * HOUR_MS
    with writing(engine) as connection:
        node = connection.execute(select(nodes.c.id).where(nodes.c.name == NODE)).scalar_one()
        rows = [
            {
                "node": node,
                "at_ms": this_hour - hour * HOUR_MS,
                "n": 360,
                "fps_n": 360,
                "fps_sum": round(fps * 100) * 360,
            }
            for hour in range(2, 9)
        ]
        # Those of an attempt before this one stand there already.
        connection.execute(delete(sample_hours).where(sample_hours.c.at_ms.in_([row["at_ms"] for row in rows])))
        connection.execute(insert(sample_hours), rows)
    engine.dispose()
