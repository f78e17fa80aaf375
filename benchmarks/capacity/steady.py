"""Devices that report evenly for a minute: what is stored of it, how late, and who takes how much of the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capacity.generator import Devices, Load
from capacity.site import CpuMeter, running_site


def steady(program: Path, store: str, devices: int, seconds: float) -> dict[str, Any]:
    """Run it once.

    Args:
        program: the compiled devices.
        store: `sqlite` or `postgresql`.

    Returns:
        Shares are of one core; `stored_percent` is of what was made.
    """
    with running_site(store) as site:
        collector = site.start_collector("--keep", "0")
        load = Load(devices, 1.0, seconds, drain_s=15)
        started = Devices.start(program, site.broker.port, load)
        started.wait_reporting()
        meter = CpuMeter({**site.processes(), "devices": [_process(started)]})
        while started.progress and started.progress[-1][0] < seconds and started.process.poll() is None:
            started.wait(0.1)
            meter.look()
        cpu = meter.seconds()
        span_s = started.progress[-1][0]
        told = started.result()
        done = site.stop(collector)
        rows, streams = site.rows()
        size_bytes = site.size_bytes()
    return {
        "store": store,
        "devices": devices,
        "seconds": seconds,
        "made": told["made"],
        "stored_rows": rows,
        "stored_percent": round(100 * rows / max(told["made"], 1), 3),
        "devices_stored": streams,
        "told_stored": told["told_stored"],
        "resent": told["resent"],
        "duplicates": done["duplicates"],
        "lost_connections": told["lost_connections"],
        "received_to_committed_ms": done["commit_lag_ms"],
        "sent_to_committed_ms": done["report_lag_ms"],
        "sent_to_told_ms": told["stored_after_ms"],
        "acks": told["acks"],
        "commits": done["commits"],
        "cpu_share": {name: round(used / span_s, 3) for name, used in cpu.items()},
        "collector_us_per_message": round(1e6 * cpu["collector"] / max(done["messages"], 1), 1),
        "store_bytes_per_report": round(size_bytes / max(rows, 1)),
    }


def _process(started: Devices) -> Any:
    import psutil

    return psutil.Process(started.process.pid)
