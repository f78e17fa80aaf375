"""`edgesdk-agent install` under a real systemd: it starts, is watched, comes back, goes well, and changes its model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.service.unit import UNIT_NAME
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_testkit.brokers import RealBroker
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.systemd_machine import SOURCE, SystemdMachine
from edgesdk_testkit.update_site import Site

pytestmark = pytest.mark.system
CONFIG = """\
device: {{name: wall}}
bundle: /srv/edgesdk/digits.edgebundle
cameras: [{{name: belt, source: 'conveyor:?fps=5'}}]
mqtt: {{url: '{url}', will_delay_s: 0}}
telemetry: {{interval_s: 1}}
pipeline: {{threads: 1}}
"""
# The environment's own script begins with the path that the environment has out here. Children of the agent inherit this one.
SCRIPT = """\
#!{python}
import os, sys
os.environ["PYTHONPATH"] = "{path}"
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
from edgesdk_agent.main import main
sys.exit(main())
"""
UPDATE = """\
update: {keys: [/etc/edgesdk/trusted.keys], soak_s: 1, frames: 5, slower: 100, trial_s: 100}
health: {age_budget_ms: 60000}
"""
# As closed as the agent's unit.
PROBE = """\
[Service]
Type=oneshot
User=nobody
PrivateTmp=yes
ProtectHome=read-only
ProtectSystem=strict
ExecStart={python} {program} --version
"""
PROGRAM = "/usr/local/bin/edgesdk-agent"
CONFIG_FILE = "/etc/edgesdk/edgesdk.yaml"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[SystemdMachine]:
    """A machine with the agent's program, which is not installed as a service yet."""
    with SystemdMachine(tmp_path_factory.mktemp("systemd") / "machine", root) as running:
        # Where this Python was installed into a person's home, others may not enter.
        running.run("chmod", "o+x", *map(str, Path(sys.base_prefix).resolve().parents))
        path = os.pathsep.join(f"{SOURCE}/{name}" for name in ("device_agent", "targets"))
        running.write(PROGRAM, SCRIPT.format(python=running.python, path=path))
        beside = str(Path(running.python).with_name("edgesdk-agent"))
        running.run("sh", "-c", 'chmod 755 "$1"; [ ! -e "$2" ] || mount --bind "$1" "$2"', "place", PROGRAM, beside)
        running.write("/etc/systemd/system/probe.service", PROBE.format(python=running.python, program=PROGRAM))
        running.run("systemctl", "start", "probe.service", fails=True)
        if running.shows("probe.service", "Result") != "success":
            pytest.skip(f"no service can read this Python and this repository: {running.boot_log()}")
        yield running


def agent(machine: SystemdMachine, *words: str) -> str:
    """Run a command of the agent as the device's administrator."""
    return machine.run(machine.python, PROGRAM, *words)


def stop_and_remove(machine: SystemdMachine, listener: MqttListener) -> None:
    machine.run("systemctl", "stop", UNIT_NAME)
    assert machine.shows(UNIT_NAME, "Result") == "success"
    # Stopped, it says so itself.
    assert listener.heard("up/state")[-1].body["state"] == "offline"
    agent(machine, "uninstall", "--purge")
    assert machine.shows(UNIT_NAME, "LoadState") == "not-found"


def test_the_installed_service_runs_is_watched_comes_back_and_goes_well(
    machine: SystemdMachine, mosquitto: RealBroker, digits_bundle: Path
) -> None:
    machine.write("/srv/edgesdk/digits.edgebundle", digits_bundle.read_bytes())
    machine.write(CONFIG_FILE, CONFIG.format(url=mosquitto.url))
    with MqttListener("127.0.0.1", mosquitto.port) as listener:
        agent(machine, "install", "--config", CONFIG_FILE)
        # Active is what it called itself: `Type=notify`.
        machine.until(UNIT_NAME, "ActiveState", "active")
        listener.wait_for("up/result", 3)
        first = machine.shows(UNIT_NAME, "MainPID")
        assert machine.run("stat", "--format=%U", f"/proc/{first}").strip() == "edgesdk"
        # It says that all is well, once its checks had something to look at.
        well = 'until "$@"; do sleep 0.5; done'
        machine.run("timeout", "60", "sh", "-c", well, "well", machine.python, PROGRAM, "status", "--name", "wall")
        # Killed, it comes back.
        machine.run("kill", "-KILL", first)
        listener.wait_for("up/birth", 2)
        assert machine.shows(UNIT_NAME, "NRestarts") == "1"
        # It stands still: the watchdog, made short as an administrator would, ends it.
        machine.write(f"/etc/systemd/system/{UNIT_NAME}.d/short.conf", "[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", UNIT_NAME)
        births = len(listener.wait_for("up/birth", 3))
        machine.run("kill", "-STOP", machine.shows(UNIT_NAME, "MainPID"))
        listener.wait_for("up/birth", births + 1)
        machine.until(UNIT_NAME, "ActiveState", "active")
        machine.run("systemctl", "reload", UNIT_NAME)
        machine.run("rm", f"/etc/systemd/system/{UNIT_NAME}.d/short.conf")
        stop_and_remove(machine, listener)


def test_under_the_launcher_a_model_is_changed_and_systemd_sees_one_service(
    machine: SystemdMachine, mosquitto: RealBroker, digits_bundle: Path, tmp_path: Path
) -> None:
    with MqttListener("127.0.0.1", mosquitto.port) as listener:
        maker = Site(tmp_path, tmp_path / "edgesdk.yaml", digits_bundle, tmp_path, "", listener)
        for number in (1, 2):
            machine.write(f"/srv/edgesdk/{number}.edgebundle", maker.published(number).read_bytes())
        machine.write("/etc/edgesdk/trusted.keys", TrustedKeys.of(maker.key.public).to_text())
        config = CONFIG.format(url=mosquitto.url).replace("digits.edgebundle", "1.edgebundle") + UPDATE
        machine.write(CONFIG_FILE, config)
        agent(machine, "install", "--config", CONFIG_FILE)
        machine.until(UNIT_NAME, "ActiveState", "active")
        maker.wait_for_results("1.0.1")
        agent(machine, "update", "install", "/srv/edgesdk/2.edgebundle", "--config", CONFIG_FILE)
        maker.wait_for_results("1.0.2")
        # Whatever became of the agent meanwhile, the launcher, which is the service, is the same.
        assert machine.shows(UNIT_NAME, "NRestarts") == "0"
        machine.run("kill", "-KILL", machine.shows(UNIT_NAME, "MainPID"))
        machine.until(UNIT_NAME, "NRestarts", "1")
        assert listener.wait_for("up/birth", 3)[-1].body["bundle"]["version"] == "1.0.2"
        machine.until(UNIT_NAME, "ActiveState", "active")
        stop_and_remove(machine, listener)
