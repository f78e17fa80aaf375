"""Drives roll-outs: reads what devices say, asks the engine, writes what it says in one transaction, tells devices.

Killed anywhere, it goes on with what is in the store and at the broker: the engine goes by levels, and so does telling.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.rollout.engine import advance
from edgesdk.fleet.rollout.model import Rollout, Step, wish_of
from edgesdk.fleet.rollout.seen import Report, Seen
from edgesdk.fleet.rollout.shadow_wave import plan_of
from edgesdk.fleet.rollout.shelf import Shelf, Shelved
from edgesdk.fleet.service.rollouts.gate_figures import GateFigures, Judged
from edgesdk.fleet.service.rollouts.shelf_routes import address_for
from edgesdk.fleet.service.rollouts.wishes import Wishes
from edgesdk.fleet.store import jobs, rollouts
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.rollout_baselines import keep_baselines
from edgesdk.fleet.store.rollout_orders import unheard
from edgesdk.fleet.store.rollout_reports import read_members, read_reports
from edgesdk.fleet.store.rollouts import Stored
from edgesdk.fleet.store.trouble import Trouble
from edgesdk.fleet.store.wanted import put_wanted
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.messages import Desired

_log = logging.getLogger("edgesdk.fleet.rollout")
Kept = Mapping[str, Desired]
NO_SERVER = (
    "Devices fetch bundles and agents over HTTPS: fleet serve --device-server https://…, with --certificate and --key."
)
NO_BUNDLE = "its file is not in this service's --bundles, which fleet deploy and serve must share:"


@dataclass(slots=True)
class Driver:
    """Looks at every roll-out that has not ended.

    Attributes:
        server: where devices reach this service, `https://host:port`; empty where they do not.
        clock: milliseconds since 1970.
    """

    engine: Engine
    shelf: Shelf
    server: str = ""
    clock: Callable[[], int] = lambda: int(time.time() * 1000)
    _gates: dict[int, GateFigures] = field(default_factory=dict)
    _addresses: dict[tuple[str, str], str] = field(default_factory=dict)
    _holder: str = field(default_factory=lambda: secrets.token_hex(8))
    _connection: int | None = None
    _listens_since_ms: int | None = None

    def hears(self, connection: int | None) -> None:
        """Take note by which connection devices are heard now, None by none; between looks, before each.

        Whoever hears by another one than before has listened from then on.
        """
        if connection != self._connection:
            # What was read of devices up to now says too little of them.
            self._gates.clear()
        if connection is None or connection != self._connection:
            self._listens_since_ms = None
        self._connection = connection

    def look(self, kept: Kept) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
        """Look once; return what is wanted of each device in hand, and which desired state each has answered.

        Args:
            kept: what the broker keeps, as `Wishes.kept` has it.
        """
        began_ms = self.clock()
        updates: dict[str, dict[str, Any]] = {}
        answered: dict[str, int] = {}
        if not jobs.claim(self.engine, rollouts.JOB, self._holder, began_ms):
            return updates, answered
        if self._listens_since_ms is None:
            self._listens_since_ms = began_ms
        problem = "" if self.server else NO_SERVER
        with reading(self.engine) as connection:
            active = rollouts.active(connection)
        self._gates = {number: gate for number, gate in self._gates.items() if number in active}
        for key in active.values():
            try:
                after, reports = self._advanced(key, kept)
                updates |= self._updates(after)
                problem = problem or self._cannot_offer(after)
            except EdgeError as error:
                problem = f"{key}: {error.message}"
                _log.warning("The roll-out %s", problem)
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is with one of them, the others go on
                problem = f"{key}: {type(error).__name__}; the service's log says more"
                _log.exception("The roll-out %s cannot be looked at", key)
                continue
            answered |= reports
        jobs.finish(self.engine, rollouts.JOB, self._holder, began_ms, self.clock(), problem)
        return updates, answered

    def _advanced(self, key: str, kept: Kept) -> tuple[Rollout, dict[str, int]]:
        now_ms = self.clock()
        with reading(self.engine) as connection:
            stored = rollouts.load(connection, key)
            asked = unheard(connection, stored.id)
            reports = read_reports(connection, stored)
            bundle = self.shelf.find(stored.rollout.digest)
            members = None
            if stored.rollout.policy.dynamic and bundle is not None:
                members = read_members(connection, stored, bundle, now_ms)
            gate = self._gate(connection, stored)
            judged = Judged() if gate is None else gate.judged(connection, stored, now_ms)
            seen = Seen(
                reports=reports, members=members, told=told(stored.rollout, kept, reports),
                orders=[order for _, order in asked], offers=bool(self.server) and bundle is not None,
                health=judged.health, controls=judged.controls, listened_s=(now_ms - (self._listens_since_ms or now_ms)) / 1000,
            )  # fmt: skip
        after, actions = advance(stored.rollout, seen, now_ms / 1000)
        with writing(self.engine) as connection:
            if not rollouts.save(connection, stored, after, actions, [row for row, _ in asked], now_ms):
                # Another process was here meanwhile; what it wrote is looked at next time.
                return stored.rollout, {}
            if gate is not None:
                # A backup that was put back meanwhile may not know some of them, whose rows others may have by now.
                here = set(stored.numbers.values())
                keep_baselines(connection, stored.id, {row: one for row, one in gate.unwritten.items() if row in here})
            for name, device in after.devices.items():
                was = stored.rollout.devices.get(name)
                if was is not None and device.told_version > was.told_version:
                    said = kept[name]
                    put_wanted(connection, name, said.version, dict(said.state), actor=key, at_ms=now_ms)
        if gate is not None:
            gate.unwritten.clear()
        return after, {name: one.answered for name, one in reports.items()}

    def _gate(self, connection: Connection, stored: Stored) -> GateFigures | None:
        """Return what a roll-out's devices are judged by; None while they are not."""
        if not stored.rollout.status.watched:
            self._gates.pop(stored.id, None)
            return None
        if stored.id not in self._gates:
            self._gates[stored.id] = GateFigures(connection, stored)
        return self._gates[stored.id]

    def _cannot_offer(self, rollout: Rollout) -> str:
        waits = any(
            one.step is Step.WAITING or wish_of(one) in {"install", "shadow"} for one in rollout.devices.values()
        )
        if not waits or rollout.status.ended or self.shelf.find(rollout.digest) is not None:
            return ""
        return f"{rollout.key}: {NO_BUNDLE} {self.shelf.folder}"

    def _updates(self, rollout: Rollout) -> dict[str, dict[str, Any]]:
        bundle = self.shelf.find(rollout.digest)
        found: dict[str, dict[str, Any]] = {}
        for name, device in rollout.devices.items():
            wish = wish_of(device)
            if wish == "leave":
                found[name] = {"leave": rollout.digest}
            elif wish and bundle is not None and self.server:
                found[name] = {"address": self._address(name, bundle)}
                if wish == "shadow" and rollout.policy.shadow is not None:
                    found[name]["shadow"] = plan_of(rollout.policy.shadow)
        return found

    def _address(self, node: str, bundle: Shelved) -> str:
        place = (node, bundle.digest)
        if place not in self._addresses:
            with writing(self.engine) as connection:
                self._addresses[place] = address_for(connection, self.server, node, bundle)
        return self._addresses[place]


def told(rollout: Rollout, kept: Kept, reports: Mapping[str, Report]) -> dict[str, tuple[str, int]]:
    """Return what the broker keeps for each device of a roll-out, where that is about its bundle.

    A device passes over what is older than what it has answered; as a service says that knew it from an old backup.
    """
    place = f"/{rollout.digest.removeprefix('sha256:')}/"
    found = {}
    for node in rollout.devices:
        said = kept.get(node)
        update = said.state.get("update") if said is not None else None
        if said is None or not isinstance(update, dict):
            continue
        version = said.version
        if node in reports and version < reports[node].answered:
            continue
        if update.get("leave") == rollout.digest:
            found[node] = ("leave", version)
        elif place in str(update.get("address", "")):
            found[node] = ("shadow" if update.get("shadow") else "install", version)
    return found


def rollout_rounds(
    driver: Driver, broker: BrokerAddress, *, tls: ssl.SSLContext | None = None, every_s: float = 2.0
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Return what drives roll-outs until the event that it is given is set."""

    async def rounds(stop: asyncio.Event) -> None:
        trouble = Trouble(_log, "Roll-outs")
        async with Wishes(broker, tls=tls) as wishes:
            await wishes.connected(stop)
            stopping = asyncio.create_task(stop.wait())
            while not stop.is_set():
                try:
                    await wishes.told()
                    driver.hears(wishes.connection)
                    updates, answered = await run_in_threadpool(driver.look, wishes.kept())
                    wishes.want(updates, answered)
                    trouble.over()
                except Exception as error:  # noqa: BLE001  # a database that is away comes back, and the service has other work
                    # Nobody writes down what devices say, either.
                    driver.hears(None)
                    trouble.say(error)
                await asyncio.wait([stopping], timeout=every_s)
            stopping.cancel()

    return rounds
