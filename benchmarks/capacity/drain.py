"""How fast a backlog at the broker drains into the store, beside `mosquitto_sub`, which stores nothing; by turns."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from capacity.generator import Devices, Load
from capacity.site import Site, running_site
from edgesdk_targets.errors import InputError

_CLIENT_ID = "capacity-drain"


def drain(program: Path, store: str, messages: int, rounds: int) -> dict[str, Any]:
    """Drain the same backlog with the collector and with a client in C, one after the other, in each round.

    Raises:
        InputError: mosquitto_sub is not installed.
    """
    listener = shutil.which("mosquitto_sub")
    if listener is None:
        raise InputError("mosquitto_sub is not installed.", hint="Debian: mosquitto-clients.")
    found: list[dict[str, float]] = []
    for turn in range(rounds):
        with running_site(store) as site:
            # Each of the two has a session at the broker, which keeps everything for both.
            site.start_collector("--keep", "3600").finish()
            subscribe = [
                listener, "-V", "5", "-h", "127.0.0.1", "-p", str(site.broker.port), "-t", "edgesdk/1/+/up/result",
                "-q", "1", "-c", "-i", _CLIENT_ID, "-x", "3600",
            ]  # fmt: skip
            subprocess.run([*subscribe, "-E"], check=True)
            devices = 1000
            load = Load(devices, 10.0, messages / devices / 10.0, drain_s=2.0, resend=False)
            told = Devices.start(program, site.broker.port, load).result()
            made = told["taken_by_broker"] - devices
            # Who is first has the other's session full at the broker, so each is first in turn.
            rates = {}
            for one in ("mosquitto_sub", "collector")[:: 1 if turn % 2 else -1]:
                rates[f"{one}_per_s"] = (
                    _by_client(subscribe, made) if one == "mosquitto_sub" else _by_collector(site, made)
                )
            found.append({"messages": made, **rates})
    return {
        "store": store,
        "rounds": [{name: round(value) for name, value in one.items()} for one in found],
        "ratio": round(statistics.median(one["collector_per_s"] / one["mosquitto_sub_per_s"] for one in found), 3),
    }


def _by_client(subscribe: list[str], messages: int) -> float:
    began = time.monotonic()
    # Payloads are written, as anybody who wants them would have them.
    subprocess.run([*subscribe, "-C", str(messages)], check=True, stdout=subprocess.DEVNULL)
    return messages / (time.monotonic() - began)


def _by_collector(site: Site, messages: int) -> float:
    collector = site.start_collector("--keep", "3600")
    began = time.monotonic()
    last, rows = began, site.rows()[0]
    first_rows = rows
    while rows < messages and time.monotonic() - last < 5:
        time.sleep(0.1)
        now_rows = site.rows()[0]
        if now_rows > rows:
            rows, last = now_rows, time.monotonic()
    site.stop(collector)
    if rows < messages:
        raise RuntimeError(f"{rows} of {messages} came")
    return (rows - first_rows) / (last - began)
