"""A real service restored from an old backup of its store: what devices say they run wins, and nobody is updated twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("cryptography")

from sqlalchemy import update

from edgesdk.cli.app import run
from edgesdk.fleet.rollout.waves import assigned
from edgesdk.fleet.store.engine import opened_store, writing
from edgesdk.fleet.store.tables import rollout_devices
from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_testkit.brokers import free_port
from edgesdk_testkit.serve_process import Serve
from edgesdk_testkit.update_life import make
from edgesdk_testkit.update_site import wait_for
from edgesdk_testkit.updating_device import UpdatingDevice

pytestmark = [pytest.mark.system, pytest.mark.long]
# One device after the other, as quickly as can be; what a gate looks at of figures is tried elsewhere.
RULES: dict[str, Any] = {
    "soak_s": 1, "reports": 1, "baseline_s": 1, "shares": [0.5, 1.0],
    "health": dict.fromkeys(("fps", "age_p95", "latency", "memory", "temperature_c", "restarts", "results"), 0),
}  # fmt: skip
OLD_H = 2
KEY = "cnn-1.0.2-1"


class Fleet:
    """The service on a store of its own, always with the same broker's port, and three devices.

    Attributes:
        serve: as it runs now, on the store `db`.
    """

    serve: Serve

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.port = folder, free_port()
        self._key = PrivateKey.new("box")
        self.bundles = folder / "shelf"
        self.begin("fleet.db")
        stack.callback(self.close)
        now = self.release(1)[1]
        address = BrokerAddress.parse(self.serve.told["broker"])
        self.devices = {
            name: stack.enter_context(UpdatingDevice(address, name, now, "generic-onnx"))
            for name in ("local.a", "local.b", "local.c")
        }

    def begin(self, db: str) -> None:
        """Start the service on a store; its broker is a new one, which keeps nothing of before."""
        words = ("--broker-port", str(self.port), "--device-server", "https://fleet.example")
        self.db = self.folder / db
        self.serve = Serve(self.db, *words, "--bundles", str(self.bundles)).__enter__()

    def close(self) -> None:
        self.serve.__exit__()

    def end(self) -> None:
        assert self.serve.finish(signal.SIGTERM) == 0
        self.close()

    def release(self, number: int) -> tuple[Path, str]:
        """Return a signed bundle, and its digest."""
        made = make(self.folder, number)
        with open_bundle(made.path) as bundle:
            sign_bundle(bundle, self._key, made.path, release=number)
        return made.path, made.release.id

    def cli(self, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
        """Run `edgesdk fleet …` on the store, and return what it prints."""
        capsys.readouterr()
        assert run(["fleet", *words, "--db", str(self.db), "--json"]) in {0, 3}
        return json.loads(capsys.readouterr().out)

    def put_back(self, backup: Path, db: str) -> None:
        """Restore a backup as a store of its own, so much older than it is, and start the service on it."""
        assert run(["fleet", "restore", str(backup), "--db", str(self.folder / db)]) == 0
        earlier = OLD_H * 3_600_000
        of = rollout_devices.c
        with opened_store(self.folder / db, create=False) as engine, writing(engine) as connection:
            for column in (of.told_ms, of.confirmed_ms, of.changed_ms):
                connection.execute(update(rollout_devices).values({column: column - earlier}))
        self.begin(db)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path, stack)


def test_a_service_from_an_old_backup_goes_by_what_devices_run(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    wait_for(lambda: len(fleet.cli(capsys, "ls")["devices"]) == 3)
    bundle, new = fleet.release(2)
    rules = fleet.folder / "rules.yaml"
    rules.write_text(yaml.safe_dump(RULES))
    waves = assigned(KEY, fleet.devices, RULES["shares"])
    first, second, third = order = sorted(waves, key=waves.__getitem__)
    old = fleet.devices[first].executing

    # In mid-roll-out: the first one has confirmed, the second is on trial, the third waits.
    fleet.devices[second].goes_on.clear()
    begun = fleet.cli(
        capsys, "deploy", str(bundle), "--policy", str(rules), "--bundles", str(fleet.bundles), "--no-follow"
    )
    assert begun["key"] == KEY
    wait_for(lambda: fleet.devices[second].executing == new)
    steps = wait_for(lambda: (now := _steps(fleet, capsys)) and now[second] == "updating" and now)
    assert [steps[name] for name in order] == ["confirmed", "updating", "waiting"]
    backup = fleet.folder / "fleet.backup"
    assert run(["fleet", "backup", "--db", str(fleet.db), "-o", str(backup)]) == 0
    fleet.devices[second].goes_on.set()
    assert fleet.cli(capsys, "rollouts", KEY, "--follow")["status"] == "done"
    fleet.end()

    # It ended since: the service comes to the same end, and nobody changes anything.
    fleet.put_back(backup, "again.db")
    ended = fleet.cli(capsys, "rollouts", KEY, "--follow")
    assert (ended["status"], ended["steps"]) == ("done", {"confirmed": 3}), ended
    assert "the store is a backup of" in next(one["why"] for one in ended["log"] if one["what"] == "put back")
    assert [device.ran for device in fleet.devices.values()] == [[old, new]] * 3
    assert {(one["bundle_digest"], one["step"]) for one in fleet.cli(capsys, "ls")["devices"]} == {(new, "confirmed")}
    back = fleet.cli(capsys, "rollback", KEY)
    assert back["steps"] == {"back": 3}
    fleet.end()

    # It was taken back since: what the backup says was confirmed is seen to run no more, and nobody is asked to take it again.
    fleet.put_back(backup, "once-more.db")
    ended = fleet.cli(capsys, "rollouts", KEY, "--follow")
    assert ended["status"] == "rolled back", ended
    assert f"{first} (failed: it runs another one by now)" in ended["why"]
    assert _steps(fleet, capsys)[third] == "waiting"
    assert [device.ran for device in fleet.devices.values()] == [[old, new, old]] * 3


def _steps(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {one["node"]: one["step"] for one in fleet.cli(capsys, "rollouts", KEY)["shown"]}
