"""How fast a backlog at the broker drains into the store, beside `mosquitto_sub`, which stores nothing; by turns.

Both have a session with QoS 1 in which the broker keeps everything, and both hear the same reports; the collector hears births and
states too, which are not counted for it.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from capacity.generator import Devices, Load
from capacity.site import CpuMeter, Site, running_site
from edgesdk_targets.errors import InputError

_CLIENT_ID = "capacity-drain"
_DEVICES = 1000
_RATE = 10.0
_PATIENCE_S = 5.0


def drain(program: Path, store: str, messages: int, rounds: int) -> dict[str, Any]:
    """Drain the same backlog with the collector and with a client in C, one after the other, in each round.

    Raises:
        InputError: mosquitto_sub is not installed.
    """
    found = [one_round(program, store, messages, turn) for turn in range(rounds)]
    return {
        "store": store,
        "rounds": [{name: round(value, 1) for name, value in one.items()} for one in found],
        "ratio": round(statistics.median(one["collector_per_s"] / one["mosquitto_sub_per_s"] for one in found), 3),
    }


def one_round(program: Path, store: str, messages: int, turn: int) -> dict[str, float]:
    """Return what each took a second, and the processor time that a message took: the collector's, and the broker's beside it.

    Raises:
        InputError: mosquitto_sub is not installed.
    """
    listener = shutil.which("mosquitto_sub")
    if listener is None:
        raise InputError("mosquitto_sub is not installed.", hint="Debian: mosquitto-clients.")
    with running_site(store) as site:
        site.stop(site.start_collector("--keep", "3600"))
        subscribe = [
            listener, "-V", "5", "-h", "127.0.0.1", "-p", str(site.broker.port), "-t", "edgesdk/1/+/up/result",
            "-q", "1", "-c", "-i", _CLIENT_ID, "-x", "3600",
        ]  # fmt: skip
        subprocess.run([*subscribe, "-E"], check=True)
        load = Load(_DEVICES, _RATE, messages / _DEVICES / _RATE, drain_s=2.0, resend=False)
        told = Devices.start(program, site.broker.port, load).result()
        found = {"messages": told["taken_by_broker"] - _DEVICES}
        # Who is first has the other's session full at the broker, so each is first in turn.
        for first in (True, False):
            found |= _by_client(subscribe, found) if first == bool(turn % 2) else _by_collector(site, found)
    return found


def _by_client(subscribe: list[str], of: dict[str, float]) -> dict[str, float]:
    began = time.monotonic()
    # Payloads are written, as anybody who wants them would have them.
    subprocess.run([*subscribe, "-C", str(of["messages"])], check=True, stdout=subprocess.DEVNULL)
    return {"mosquitto_sub_per_s": of["messages"] / (time.monotonic() - began)}


def _by_collector(site: Site, of: dict[str, float]) -> dict[str, float]:
    messages = of["messages"]
    collector = site.start_collector("--keep", "3600")
    began, meter = time.monotonic(), CpuMeter(site.processes())
    with contextlib.closing(site.settled()) as looks:
        settled = first = next(looks)
        last = time.monotonic()
        while settled < messages and time.monotonic() - last < _PATIENCE_S:
            # Often enough for the rate, and seldom enough to take no time of a core.
            time.sleep(0.02)
            if (settled_now := next(looks)) > settled:
                settled, last = settled_now, time.monotonic()
    used = meter.seconds()
    site.stop(collector)
    if (rows := site.rows()[0]) < messages:
        raise RuntimeError(f"{rows} of {messages} came")
    took = settled - first
    return {
        "collector_per_s": took / (last - began),
        **{f"{part}_us": 1e6 * seconds / took for part, seconds in used.items()},
    }
