"""How long the fleet's pages and API take on a store as large as a real one: made here, asked over HTTP as a browser does.

    python benchmarks/fleet_pages.py --devices 1000 --samples 2000000
    python benchmarks/fleet_pages.py --devices 100 --minute-days 90

For a real shop fleet, every figure of it, and the morning on which it reconnects: `shop_fleet.py`.

Devices have minutes for `--minute-days`, hours for `--hour-days`, and the raw samples shared among them; the roll-ups of the
whole fleet are made as the collector makes them. Each question is asked again and again by one client; the figures are
what that client waited.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, insert, text

from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.tables import nodes, now
from edgesdk_testkit.fleet_service import FleetService

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
GOALS_MS = {"list": 1000.0, "series": 50.0, "fleet_chart": 100.0}


def main() -> None:
    options = _parse()
    with tempfile.TemporaryDirectory(prefix="edgesdk-pages-", dir=options.folder) as folder:
        service = FleetService(Path(folder))
        began = time.monotonic()
        rows = fill(service.engine, options.devices, options.samples, options.minute_days, options.hour_days)
        made_s = time.monotonic() - began
        size = sum(path.stat().st_size for path in Path(folder).glob("fleet.db*"))
        service.add_user("viewer")
        with service, service.logged_in("viewer") as client:
            found = measure(client, options.devices, options.times)
    report = {"devices": options.devices, "rows": rows, "file_bytes": size, "made_s": round(made_s, 1), "ms": found}
    report["within_goals"] = {name: found[name]["p95"] <= goal for name, goal in GOALS_MS.items()}
    print(json.dumps(report, indent=2) if options.json else _table(report))


def fill(engine: Engine, devices: int, sample_count: int, minute_days: float, hour_days: float) -> dict[str, int]:
    """Write the rows; return how many of which."""
    at_ms = int(time.time() * 1000)
    minutes, hours = int(minute_days * 24 * 60), int(hour_days * 24)
    each = sample_count // devices
    with writing(engine) as connection:
        connection.execute(insert(nodes), [
            {"id": n, "name": f"local.cam-{n:05}", "site": f"Shop {n % 40:02}", "target": "rpi5", "bundle_name": "counter",
             "bundle_version": "1.2.0", "created_ms": at_ms, "first_seen_ms": at_ms} for n in range(1, devices + 1)
        ])  # fmt: skip
        connection.execute(insert(now), [
            {"node": n, "said": "online", "heard_ms": at_ms - n % 9000, "fps": 1500 + n % 900, "age_p95_ms": 900,
             "temperature_c": 400 + n % 450, "queued": 0} for n in range(1, devices + 1)
        ])  # fmt: skip
    for first in range(1, devices + 1, 50):
        with writing(engine) as connection:
            for n in range(first, min(first + 50, devices + 1)):
                for table, length, count in (("sample_minutes", MINUTE_MS, minutes), ("sample_hours", HOUR_MS, hours)):
                    connection.exec_driver_sql(_ROLLED.replace("TABLE", table), list(_rolled(n, at_ms, length, count)))
                connection.exec_driver_sql(_RAW, list(_raw(n, at_ms, each)))
    for table in ("sample_minutes", "sample_hours"):
        with writing(engine) as connection:
            connection.execute(text(
                f"INSERT INTO {table} (node, at_ms, n, fps_n, fps_sum, age_p95_ms_n, age_p95_ms_sum, age_p95_ms_max)"  # noqa: S608
                f" SELECT 0, at_ms, count(*), count(fps_n), sum(fps_sum / fps_n), count(age_p95_ms_n),"
                f" sum(age_p95_ms_sum / age_p95_ms_n), max(age_p95_ms_max) FROM {table} GROUP BY at_ms"
            ))  # fmt: skip
    return {"samples": each * devices, "minutes": minutes * devices, "hours": hours * devices}


def _named(number: int) -> str:
    return f"local.cam-{number:05}"


def measure(
    client: httpx.Client, devices: int, times: int, *, named: Callable[[int], str] = _named
) -> dict[str, dict[str, float]]:
    """Ask each question some times; return what was waited, in milliseconds. `named` gives a device's name, from 1 on."""
    at_ms = int(time.time() * 1000)

    def series(span_ms: int) -> Callable[[int], str]:
        return lambda i: (
            f"/api/v1/devices/{named(1 + i * 37 % devices)}/series?names=fps,age_p95_ms"
            f"&since_ms={at_ms - span_ms}&until_ms={at_ms}"
        )

    spans = [series(span) for span in (HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 90 * DAY_MS)]
    asked: dict[str, Callable[[int], str]] = {
        "overview": lambda _: "/",
        "list": lambda _: "/devices",
        "list_sorted": lambda _: "/devices?sort=-temperature_c",
        "list_filtered": lambda i: f"/devices?site=Shop+{i % 40:02}&state=online",
        "device_page": lambda i: f"/devices/{named(1 + i * 13 % devices)}",
        "series": lambda i: spans[i % len(spans)](i),
        "fleet_chart": lambda _: f"/api/v1/fleet/series?since_ms={at_ms - 3 * HOUR_MS}&until_ms={at_ms}",
        "fleet_chart_90_d": lambda _: f"/api/v1/fleet/series?since_ms={at_ms - 90 * DAY_MS}&until_ms={at_ms}",
    }
    return {name: _waited(client, address, times) for name, address in asked.items()}


def _waited(client: httpx.Client, address: Callable[[int], str], times: int) -> dict[str, float]:
    waited = []
    for number in range(times):
        began = time.perf_counter()
        client.get(address(number)).raise_for_status()
        waited.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(waited, n=20, method="inclusive")
    return {"p50": round(statistics.median(waited), 1), "p95": round(cuts[-1], 1), "max": round(max(waited), 1)}


# By the driver: the rows are millions.
_ROLLED = (
    "INSERT INTO TABLE (node, at_ms, n, fps_n, fps_sum, fps_min, fps_max, age_p95_ms_n, age_p95_ms_sum, age_p95_ms_max)"
    " VALUES (?, ?, 6, 6, ?, ?, ?, 6, ?, ?)"
)
_RAW = "INSERT INTO samples (node, at_ms, fps, age_p95_ms) VALUES (?, ?, ?, 900)"


def _rolled(node: int, at_ms: int, length_ms: int, count: int) -> Iterator[tuple[int, ...]]:
    first = at_ms // length_ms * length_ms - count * length_ms
    for number in range(count):
        fps, age = round(2000 + 300 * math.sin(number / 40 + node)), round(900 + 200 * math.sin(number / 70))
        yield node, first + number * length_ms, 6 * fps, fps - 90, fps + 90, 6 * age, age + 40


def _raw(node: int, at_ms: int, count: int) -> Iterator[tuple[int, ...]]:
    step = 2 * DAY_MS // max(1, count)
    for number in range(count):
        yield node, at_ms - (count - number) * step, 2000 + number % 300


def _table(report: dict[str, Any]) -> str:
    lines = [f"{report['devices']} devices, {report['rows']}, {report['file_bytes'] / 1e9:.2f} GB"]
    for name, ms in report["ms"].items():
        goal = f"   goal {GOALS_MS[name]:.0f} ms" if name in GOALS_MS else ""
        lines.append(f"{name:18} p50 {ms['p50']:7.1f}   p95 {ms['p95']:7.1f}   max {ms['max']:7.1f} ms{goal}")
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=2_000_000, help="raw samples of all devices together")
    parser.add_argument("--minute-days", type=float, default=2, help="days of minutes for each device")
    parser.add_argument("--hour-days", type=float, default=90, help="days of hours for each device")
    parser.add_argument("--times", type=int, default=40, help="how often each question is asked")
    parser.add_argument("--folder", help="where the store is made; it needs some gigabytes")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
