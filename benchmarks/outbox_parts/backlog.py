"""72 hours without a broker, and how the backlog drains while new reports come: a real broker, the real recorder, the real link."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.keeper import Keeper
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_testkit.agent_like import make_link
from edgesdk_testkit.brokers import running_broker
from edgesdk_testkit.recorder_process import RecorderProcess
from outbox_parts.reports import NODE, result, telemetry

MEGABYTE = 1e6
LIVE_PER_S = 10


def offline(folder: Path, hours: float) -> dict[str, float]:
    """Report once a second for so many simulated hours, telemetry each tenth, with nobody who takes it; return what it takes.

    The outbox stays in the folder, as a process leaves it that ends well.
    """
    shutil.rmtree(folder, ignore_errors=True)
    clock, began = [0.0], time.time() - hours * 3600
    box = Outbox(folder / "outbox.db", NODE, clock=lambda: clock[0], wall=lambda: began + clock[0])
    largest = 0
    for second in range(int(hours * 3600)):
        clock[0] = float(second)
        if second % 10 == 0:
            box.put(ReportKind.TELEMETRY, telemetry(second, began))
        else:
            box.put(ReportKind.RESULT, result(second, began))
        # A commit is due each 25 s: looking more often finds nothing.
        if second % 5 == 4:
            box.step()
        if second % 600 == 0:
            largest = max(largest, _size(folder))
    written, kept = box.figures()["written_bytes_today"], box.pending
    box.close()
    return {
        "hours": hours,
        "reports": kept,
        "largest_on_disk_mb": round(max(largest, _size(folder)) / MEGABYTE, 2),
        "written_mb_today": round(written / MEGABYTE, 1),
    }


def drain(folder: Path, scratch: Path, backlog_per_s: float, broker_kind: str = "mosquitto") -> dict[str, float]:
    """Connect what `offline` left, report ten times a second beside it, and tell how long it takes."""
    settings = replace(OutboxSettings(), backlog_per_s=backlog_per_s)
    box = Outbox(folder / "outbox.db", NODE, settings)
    backlog, first_live = box.pending, box.next_seq
    keeper, db = Keeper(box), scratch / "fleet.db"
    acknowledged: list[float] = []
    waiting: dict[int, float] = {}
    with running_broker(broker_kind, scratch / "broker") as broker, RecorderProcess(broker.url, db):
        link = make_link(broker.address, box)  # type: ignore[arg-type]
        keeper.start()
        link.start(require_within_s=30)
        began = time.monotonic()
        while box.pending > len(waiting):
            if len(acknowledged) + len(waiting) < (time.monotonic() - began) * LIVE_PER_S:
                now = time.time()
                waiting[box.put(ReportKind.RESULT, result(0.0, now))] = time.monotonic()
            settled = [seq for seq in waiting if seq not in box._kept]  # noqa: SLF001  (nobody else asks for one number)
            acknowledged += [time.monotonic() - waiting.pop(seq) for seq in settled]
            time.sleep(0.01)
        seconds = time.monotonic() - began
        box.wait_empty(10.0)
        link.stop(1.0)
        keeper.stop()
        with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as record:
            stored = record.execute("SELECT count(*), count(DISTINCT seq) FROM records").fetchone()
            lags = sorted(
                lag
                for (lag,) in record.execute("SELECT received_ms - at_ms FROM records WHERE seq >= ?", (first_live,))
            )
    return {
        "backlog": backlog,
        "backlog_per_s": backlog_per_s,
        "drained_s": round(seconds, 1),
        "live": len(lags),
        "live_lag_p50_ms": _quantile(lags, 0.5),
        "live_lag_p99_ms": _quantile(lags, 0.99),
        "acknowledged_p99_ms": round(1e3 * _quantile(sorted(acknowledged), 0.99), 1),
        "stored": stored[0],
        "twice": stored[0] - stored[1],
        "lost": backlog + len(lags) - stored[0],
    }


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
