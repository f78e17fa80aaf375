"""What is lost when a collector, the broker or the database is killed: nothing may be, and nothing may come twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from capacity.generator import Devices, Load
from capacity.site import Site, running_site

# How often devices tell how far they are.
_LOOK_S = 0.25


def one_of_two(program: Path, devices: int, seconds: float) -> dict[str, Any]:
    """Kill one of two collectors on PostgreSQL in the middle, and look how long the backlog lasts."""
    with running_site("postgresql") as site:
        first = site.start_collector()
        second = site.start_collector()
        started = Devices.start(program, site.broker.port, Load(devices, 1.0, seconds))
        started.wait_reporting()
        while started.progress[-1][0] < seconds / 2:
            started.wait(0.05)
        first.kill()
        killed_at = started.progress[-1][0]
        told = started.result()
        done = site.stop(second)
        rows, _ = site.rows()
    before = [made - stored for at, made, stored in started.progress if killed_at / 2 < at <= killed_at]
    usual = max(before)
    after = [(at, made - stored <= 1.2 * usual + 20) for at, made, stored in started.progress if at > killed_at]
    return {
        "devices": devices,
        "made": told["made"],
        "stored_rows": rows,
        "kept": told["kept"],
        "resent": told["resent"],
        "backlog_usual": usual,
        "backlog_most": max(made - stored for at, made, stored in started.progress if at > killed_at),
        "backlog_gone_after_s": _settled(after, killed_at),
        "survivor_stored": done["stored"],
    }


def _settled(looks: list[tuple[float, bool]], since: float) -> float | None:
    """Return the seconds until all was as usual, and a second later still; None where it never was."""
    for at, usual in looks:
        if usual and all(one for when, one in looks if at <= when <= at + 1):
            return round(max(at - since - _LOOK_S, 0.0), 2)
    return None


def storm(
    program: Path, store: str, devices: int, seconds: float, seed: int, *, control: bool = False
) -> dict[str, Any]:
    """Kill collectors, the broker and the database at random while devices report, and count in the end.

    Args:
        control: devices that send nothing again while their connection lasts, and collectors alone are killed: it must
            lose some, or the storm proves nothing.
    """
    chance = random.Random(seed)
    kills: Counter[str] = Counter()
    with running_site(store) as site:
        load = Load(devices, 1.0, seconds, drain_s=5 if control else 60, resend=not control)
        number = 2 if store == "postgresql" else 1
        for _ in range(number):
            site.start_collector("--keep", "0")
        started = Devices.start(program, site.broker.port, load)
        started.wait_reporting()
        victims = ["collector"] if control else ["collector", "broker"] + ["database"] * (site.server is not None)
        end = time.monotonic() + seconds
        while time.monotonic() < end and started.process.poll() is None:
            started.wait(chance.uniform(0.5, 2.0))
            # Each at least once in three turns, in an order that is drawn.
            victim = chance.choice([name for name in victims if kills[name] == min(kills[v] for v in victims)])
            kills[victim] += 1
            _kill(site, victim, chance)
        told = started.result()
        for collector in list(site.collectors):
            site.stop(collector)
        rows, streams = site.rows()
    return {
        "store": store,
        "seed": seed,
        "kills": dict(kills),
        "devices": devices,
        "made": told["made"],
        "stored_rows": rows,
        "lost": told["made"] - rows,
        "kept": told["kept"],
        "devices_stored": streams,
        "lost_connections": told["lost_connections"],
        "resent": told["resent"],
    }


def _kill(site: Site, victim: str, chance: random.Random) -> None:
    if victim == "collector":
        index = chance.randrange(len(site.collectors))
        site.collectors.pop(index).kill()
        site.start_collector("--keep", "0")
    elif victim == "broker":
        site.broker.kill()
        time.sleep(chance.uniform(0, 0.5))
        site.broker.start()
    elif site.server is not None:
        site.server.kill()
        time.sleep(chance.uniform(0, 0.5))
        site.server.start()
