"""A real shop fleet's store, and the morning on which all of it comes back at once.

    python benchmarks/shop_fleet.py make    --folder out/shop --devices 300      # again and again, until it says that all is there
    python benchmarks/shop_fleet.py morning --folder out/shop

`make` writes what 300 devices leave behind: 90 days of minutes and hours with every figure that is kept, 48 hours of single
samples each ten seconds and of a result a minute, in the order in which they would have come, and snapshots as files. It
stops after `--seconds` and goes on where it stopped.

`morning` starts `edgesdk fleet serve` on that store, asks its pages and its API as one browser does, then lets every device
reconnect to the real broker within a minute (birth, state, telemetry, a result), and asks all the while.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from fleet_morning import morning
from sqlalchemy import insert

from edgesdk.fleet.store.engine import open_store, writing
from edgesdk.fleet.store.figures import FIGURES
from edgesdk.fleet.store.tables import nodes, now, snapshots, streams

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SAMPLE_MS = 10_000
_PICTURES_EACH = 8
_LATENCY = '{"decode":[0.4,0.9],"infer":[11.9,14.2],"preprocess":[1.1,2.0]}'
_DROPPED = '{"queue":36}'
_BODY = (
    '{"schema":"result/1","node":"","camera":"door","frame":7,"age_ms":41.5,"latency_ms":{"preprocess":1.1,"infer":11.9},'
    '"result":{"kind":"detections","objects":[{"label":"person","score":0.93,"box":[210,110,400,300]}]}}'
)
# Of each figure, as it is stored: about what, and by how much it moves.
_ABOUT = {
    "fps": (1500, 900), "age_p50_ms": (350, 200), "age_p95_ms": (900, 400), "age_p99_ms": (1400, 900),
    "cpu_percent": (1400, 300), "memory_bytes": (300_000, 20_000), "temperature_c": (550, 150),
    "disk_free_bytes": (20_000, 50), "queued": (0, 2), "clock_offset_ms": (0, 5),
}  # fmt: skip


def make(folder: Path, devices: int, minute_days: float, raw_hours: float, seconds: float) -> bool:
    """Write what is still missing, for so long; return whether all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fleet.db"
    end = time.monotonic() + seconds
    engine = open_store(str(path))
    plan = folder / "plan.json"
    if not plan.exists():
        at_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS
        with writing(engine) as connection:
            connection.execute(insert(nodes), [_node(n, at_ms) for n in range(1, devices + 1)])
            connection.execute(insert(streams), [{"id": n, "node": n, "epoch": "e1"} for n in range(1, devices + 1)])
            connection.execute(insert(now), [_now(n, at_ms) for n in range(1, devices + 1)])
        _pictures(engine, folder / "fleet.db-media", devices, at_ms)
        plan.write_text(json.dumps({"at_ms": at_ms, "devices": devices, "done": []}))
    engine.dispose()
    said = json.loads(plan.read_text())
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -262144")
        for name, statement, values in _steps(said["at_ms"], said["devices"], minute_days, raw_hours):
            if name in said["done"]:
                continue
            if time.monotonic() > end:
                print(f"{len(said['done'])} steps are done; go on")
                return False
            db.execute("BEGIN")
            db.execute(statement, values)
            db.execute("COMMIT")
            said["done"].append(name)
            plan.write_text(json.dumps(said))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(f"all is there: {path.stat().st_size / 1e9:.2f} GB")
    return True


def _steps(at_ms: int, devices: int, minute_days: float, raw_hours: float) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Give each step's name, its statement and what is bound: a day at a time, as it would have come."""
    for day in range(int(minute_days)):
        from_ms = at_ms - (int(minute_days) - day) * DAY_MS
        span = {"from_ms": from_ms, "upto_ms": from_ms + DAY_MS, "devices": devices}
        for table, length_ms in (("sample_minutes", MINUTE_MS), ("sample_hours", HOUR_MS)):
            bound = {**span, "step": length_ms}
            first = {"first_ms": at_ms - int(minute_days) * DAY_MS, "shift": day * DAY_MS, "devices": devices}
            yield f"{table} {day}", _rolled_again(table) if day else _rolled(table), first if day else bound
            yield f"fleet {table} {day}", _rolled_of_fleet(table), bound
    for hour in range(int(raw_hours)):
        from_ms = at_ms - (int(raw_hours) - hour) * HOUR_MS
        span = {"from_ms": from_ms, "upto_ms": from_ms + HOUR_MS, "step": SAMPLE_MS, "devices": devices}
        yield f"samples {hour}", _SAMPLES, span
        yield f"records {hour}", _RECORDS, {**span, "step": MINUTE_MS, "first": at_ms - int(raw_hours) * HOUR_MS}
    # The roll-up has been here: it goes on after these samples.
    yield "rolled", "INSERT INTO jobs (name, cursor) SELECT 'rollup', max(id) FROM samples", {}
    yield "analyse", "ANALYZE", {}


def _moved(figure: str, of: str) -> str:
    about, spread = _ABOUT[figure]
    return f"{about} + ({of} / 1000 * 31 + node * 7919) % {spread}"


def _rolled_values(node: str, count: str) -> str:
    values = []
    for figure in FIGURES:
        if figure.counter:
            values.append("(at_ms - :from_ms) / 1000 * 25")
            continue
        value = f"({_moved(figure.name, 'at_ms').replace('node', node)})"
        values += [count, f"{count} * {value}", *(f"{value} {'-' if k == 'min' else '+'} 3" for k in figure.keeps)]
    return ", ".join(values)


_TIMES = (
    "WITH RECURSIVE t(at_ms) AS (SELECT :from_ms UNION ALL SELECT at_ms + :step FROM t WHERE at_ms + :step < :upto_ms)"
)
_ROLLED_COLUMNS = ", ".join(column for figure in FIGURES for column in figure.rolled)


def _rolled(table: str) -> str:
    return (
        f"INSERT INTO {table} (node, at_ms, n, {_ROLLED_COLUMNS}, latency_ms, dropped_by_cause) {_TIMES}"  # noqa: S608
        f" SELECT id, at_ms, 6, {_rolled_values('id', '6')}, '{_LATENCY}', '{_DROPPED}'"
        " FROM nodes CROSS JOIN t WHERE id <= :devices ORDER BY id, at_ms"
    )


def _rolled_again(table: str) -> str:
    """Return the statement that writes a day as the first one was: to copy is quicker than to compute."""
    return (
        f"INSERT INTO {table} (node, at_ms, n, {_ROLLED_COLUMNS}, latency_ms, dropped_by_cause)"  # noqa: S608
        f" SELECT node, at_ms + :shift, n, {_ROLLED_COLUMNS}, m.latency_ms, m.dropped_by_cause FROM nodes CROSS JOIN {table} m"
        f" ON m.node = nodes.id WHERE id <= :devices AND m.at_ms >= :first_ms AND m.at_ms < :first_ms + {DAY_MS}"
    )


def _rolled_of_fleet(table: str) -> str:
    return (
        f"INSERT INTO {table} (node, at_ms, n, {_ROLLED_COLUMNS}) {_TIMES}"  # noqa: S608
        f" SELECT 0, at_ms, :devices, {_rolled_values('0', ':devices')} FROM t"
    )


_SAMPLES = (
    f"INSERT INTO samples (node, at_ms, {', '.join(figure.name for figure in FIGURES)}, latency_ms, dropped_by_cause)"  # noqa: S608
    f" {_TIMES} SELECT id, at_ms, "
    + ", ".join(
        "(at_ms - :from_ms) / 1000 * 25" if figure.counter else _moved(figure.name, "at_ms").replace("node", "id")
        for figure in FIGURES
    )
    + f", '{_LATENCY}', '{_DROPPED}' FROM t CROSS JOIN nodes WHERE id <= :devices"
)
_RECORDS = (
    "INSERT INTO records (stream, seq, node, kind, at_ms, received_ms, camera, labels, body)"  # noqa: S608
    f" {_TIMES} SELECT id, (at_ms - :first) / :step + 1, id, 1, at_ms, at_ms, 'door',"
    f" CASE WHEN (at_ms / 60000 + id) % 5 THEN '|person|' ELSE '|car|' END, '{_BODY}'"
    " FROM t CROSS JOIN nodes WHERE id <= :devices"
)


def _node(number: int, at_ms: int) -> dict[str, Any]:
    return {
        "id": number, "name": f"local.shop-{number:03}", "site": f"Shop {number % 40:02}", "target": "rpi5",
        "agent_version": "0.2.0", "bundle_name": "counter", "bundle_version": "1.2.0", "created_ms": at_ms - 90 * DAY_MS,
        "first_seen_ms": at_ms - 90 * DAY_MS, "born_ms": at_ms - DAY_MS,
        "cameras": [{"name": "door", "source": "v4l2:/dev/video0", "mode": "freshest", "decoder": "mjpeg by hardware"}],
    }  # fmt: skip


def _now(number: int, at_ms: int) -> dict[str, Any]:
    return {
        "node": number, "said": "offline", "reason": "connection lost", "heard_ms": at_ms, "sample_ms": at_ms,
        "fps": 1500 + number, "age_p95_ms": 900, "temperature_c": 550, "queued": 0, "last_result": "1: person 0.93",
    }  # fmt: skip


def _pictures(engine: Any, media: Path, devices: int, at_ms: int) -> None:
    rows = []
    for number in range(1, devices + 1):
        folder = media / "2026-01-31" / f"local.shop-{number:03}"
        folder.mkdir(parents=True, exist_ok=True)
        for picture in range(_PICTURES_EACH):
            content = b"\xff\xd8" + os.urandom(60_000) + b"\xff\xd9"
            (folder / f"{picture}.jpg").write_bytes(content)
            rows.append({
                "node": number, "snapshot": f"s{picture}", "camera": "door", "at_ms": at_ms - picture * HOUR_MS,
                "received_ms": at_ms, "content_type": "image/jpeg", "size_bytes": len(content), "width": 1280, "height": 720,
                "sha256": "", "path": f"2026-01-31/local.shop-{number:03}/{picture}.jpg",
            })  # fmt: skip
    with writing(engine) as connection:
        connection.execute(insert(snapshots), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "morning"])
    parser.add_argument("--folder", type=Path, required=True, help="where the store is; `make` needs about 10 GB")
    parser.add_argument("--devices", type=int, default=300)
    parser.add_argument("--minute-days", type=float, default=90)
    parser.add_argument("--raw-hours", type=float, default=48)
    parser.add_argument("--seconds", type=float, default=1e9, help="`make` stops after so long")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.what == "make":
        make(options.folder, options.devices, options.minute_days, options.raw_hours, options.seconds)
        return
    found = morning(options.folder, options.devices)
    text = json.dumps(found, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
