"""A whole fleet on this machine: its service with broker and HTTPS, and devices under their launchers on virtual cameras."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgesdk.cli.app import run
from edgesdk.fleet.store.address import parse
from edgesdk.fleet.store.engine import connect, reading
from edgesdk.fleet.store.rollout_pages import list_rollouts, rollout_page
from edgesdk.signing.private_key import PrivateKey
from edgesdk_testkit.brokers import free_port
from edgesdk_testkit.certificates import make_certificates
from edgesdk_testkit.mqtt_listener import Heard, MqttListener
from edgesdk_testkit.serve_process import Serve
from edgesdk_testkit.update_site import PATIENCE_S, Site, wait_for

# As quick as a test must be; what a gate looks at is the same.
QUICK: Mapping[str, Any] = {
    "soak_s": 3, "reports": 2, "silent_after_s": 240, "baseline_s": 60, "shares": [0.5, 1.0],
    # Processes of a busy machine say nothing about a model: what a device itself says is what is tried here.
    # In three seconds a belt that goes on shows other digits than before: what is seen is not compared.
    "health": {"fps": 0.05, "age_p95": 0, "latency": 0, "memory": 5, "restarts": 0, "results": 0},
}  # fmt: skip


@dataclass
class FleetSite:
    """The parts, as they run.

    Attributes:
        rules: of each roll-out, unless told otherwise.
        devices: by name, `local.NAME`.
    """

    folder: Path
    db: Path
    serve: Serve
    listener: MqttListener
    rules: Mapping[str, Any]
    devices: dict[str, Site] = field(default_factory=dict)

    def deploy(self, bundle: Path, *words: str, **more: Any) -> int:
        """Roll a bundle out by the command, wait for its end, and return its exit code.

        Args:
            more: further rules.
        """
        rules = self.folder / "rules.yaml"
        rules.write_text(yaml.safe_dump({**self.rules, **more}))
        return run(["fleet", "deploy", str(bundle), "--db", str(self.db), "--policy", str(rules), "--json", *words])

    def outcome(self, bundle: Path, **more: Any) -> dict[str, Any]:
        """Roll a bundle out, and return everything of the roll-out, with the command's `code` and the `seconds` it took."""
        began = time.monotonic()
        with redirect_stdout(io.StringIO()):
            code = self.deploy(bundle, **more)
        return {**self.newest(), "code": code, "seconds": round(time.monotonic() - began, 1)}

    def tried(self, version: str) -> set[str]:
        """Return the devices that told of a step of their update to a version."""
        heard = [one for one in self.listener.heard("up/event") if one.body["name"] == "update_step"]
        return {node_of(one) for one in heard if one.body["data"].get("version") == version}

    def rollback(self, key: str) -> int:
        return run(["fleet", "rollback", key, "--db", str(self.db), "--json"])

    def newest(self) -> dict[str, Any]:
        """Return everything of the newest roll-out."""
        return self.shown()

    def shown(self, key: str = "") -> dict[str, Any]:
        """Return everything of a roll-out, as it is now; of the newest unless given."""
        engine = connect(parse(self.db), create=False)
        try:
            with reading(engine) as connection:
                key = key or list_rollouts(connection)[0]["key"]
                return rollout_page(connection, key, int(time.time() * 1000))
        finally:
            engine.dispose()

    def version_of(self, name: str) -> str:
        """Return which version's results a device brought last."""
        heard = [one for one in self.listener.heard() if one.channel == "up/result" and node_of(one) == name]
        return str(heard[-1].body["bundle"]["version"]) if heard else ""

    def wait_for_versions(self, version: str) -> None:
        wait_for(lambda: all(self.version_of(name) == version for name in self.devices), f"not all run {version}")


def must(held: object, found: object) -> None:
    """Raise where something is not as a benchmark's command promises."""
    if not held:
        raise RuntimeError(f"this is not as it must be: {found}")


def tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a benchmark found."""
    text = json.dumps(found, indent=2) if as_json else "\n".join(f"{name}: {value}" for name, value in found.items())
    sys.stdout.write(text + "\n")


def node_of(heard: Heard) -> str:
    """Return whose word it is: `tenant.device`."""
    return heard.topic.split("/")[2]


@contextmanager
def fleet_site(
    folder: Path,
    original: Path,
    count: int,
    *,
    camera: str = Site.camera,
    trial: str = Site.trial,
    rules: Mapping[str, Any] = QUICK,
    update: str = "",
    more: str = "",
) -> Iterator[FleetSite]:
    """Yield a fleet of so many devices, each of which brings results of version 1.0.1.

    Args:
        camera: what each looks at; trial: what its trials ask for; update: more of its section `update`; more: further sections.
        rules: of roll-outs.
    """
    certificates = make_certificates(folder / "tls")
    (folder / "bundles").mkdir()
    port, db = free_port(), folder / "fleet.db"
    url = f"https://127.0.0.1:{port}"
    with ExitStack() as stack:
        serve = stack.enter_context(
            Serve(
                db, "--port", str(port), "--broker-port", "0", "--certificate", str(certificates.server), "--key",
                str(certificates.server_key), "--device-server", url,
            )
        )  # fmt: skip
        broker = serve.told["broker"]
        host, _, broker_port = broker.removeprefix("mqtt://").partition(":")
        listener = stack.enter_context(MqttListener(host, int(broker_port)))
        site = FleetSite(folder, db, serve, listener, rules)
        key = PrivateKey.new("box")
        for number in range(count):
            home = folder / f"d{number}"
            home.mkdir()
            one = Site(
                home / "update", home / "edgesdk.yaml", original, folder / "bundles", url, listener, key,
                trial=", ".join(filter(None, (trial, f"ca: {certificates.ca}", update))), camera=camera,
                more=f"device: {{name: d{number}}}\ntelemetry: {{interval_s: 1}}\noutbox: {{path: {home / 'outbox.db'}}}\n{more}",
            )  # fmt: skip
            one.set_up(broker)
            one.launch()
            stack.callback(ended, one)
            site.devices[f"local.d{number}"] = one
        site.wait_for_versions("1.0.1")
        yield site


def ended(site: Site) -> None:
    """End a device, unless it has ended."""
    assert site.process is not None
    if site.process.poll() is None:
        site.end()
    assert site.process.wait(PATIENCE_S) is not None
