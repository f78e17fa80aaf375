"""A camera that is killed, hangs and comes back, many times: how soon it is seen again, and what grows."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path
from typing import Any

from camera_fault_parts.finding import Finding
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_testkit.camera_faults import (
    BOUND_S,
    LIMITS,
    OPEN_TIMEOUT_S,
    Held,
    Watched,
    break_and_mend,
    held,
)
from edgesdk_testkit.rtsp_server import RtspServer, looped

WAYS: dict[str, dict[str, Any]] = {
    "GStreamer": {"decoder": "gstreamer"},
    "FFmpeg": {"decoder": "software"},
    "own process": {"isolate": True},
}
_FPS = 15
# Growth is judged from here on: until then each cycle's new threads still get a pool of the allocator of their own, and
# GStreamer its registry and pools; a process levels off after thirteen to twenty cycles, and what leaks does not.
WARM_UP = 15
# What an allocator and Python's pools may take, in bytes.
_NOISE_BYTES = 4 << 20


def measure(film: Path, cycles: int) -> list[Finding]:
    """Break a camera `cycles` times by each fault, read in each way, after `WARM_UP` times that only its recovery counts of."""
    found = [_one(film, cycles, name, options) for name, options in WAYS.items()]
    found[0] = _with_control(found[0], film)
    return found


def _one(film: Path, cycles: int, name: str, options: dict[str, Any]) -> Finding:
    server = RtspServer(looped(film, fps=_FPS)).start()
    recoveries: dict[str, list[float]] = {"killed": [], "frozen": []}
    held_at: list[Held] = []
    try:
        camera = open_camera(server.urls[0], supervision=LIMITS, open_timeout_s=OPEN_TIMEOUT_S, **options)
        with Watched(camera) as watched:
            for _ in range(WARM_UP + cycles):
                recoveries["killed"].append(break_and_mend(server, watched, "killed"))
                recoveries["frozen"].append(break_and_mend(server, watched, "frozen"))
                held_at.append(held())
            counts = watched.counts
    finally:
        server.stop()
    early, late = _quarters(held_at)
    worst = max(max(times) for times in recoveries.values())
    grown = statistics.median(one.rss_bytes for one in late) - statistics.median(one.rss_bytes for one in early)
    files, threads, children = (
        [max(getattr(one, what) for one in part) for part in (early, late)] for what in ("files", "threads", "children")
    )
    same = all(after <= before for before, after in (files, threads, children))
    return Finding(
        f"{name}: killed and frozen {WARM_UP + cycles} times each",
        holds=worst <= BOUND_S and same and grown <= _NOISE_BYTES,
        goal=f"back within {BOUND_S:g} s each time; files, threads and processes constant, memory within 4 MiB",
        found=(
            f"median {statistics.median(recoveries['killed'] + recoveries['frozen']):.2f} s, worst {worst:.2f} s; "
            f"files {files[0]} → {files[1]}, threads {threads[0]} → {threads[1]}, "
            f"memory {grown / 2**20:+.1f} MiB"
        ),
        figures={
            "recovery_s": recoveries,
            "held": [[one.files, one.threads, one.rss_bytes, one.children] for one in held_at],
            "stalls": counts.stalls,
            "reconnects": counts.reconnects,
        },
    )


def _quarters(held_at: list[Held]) -> tuple[list[Held], list[Held]]:
    """Return the first quarter after the warm-up, and the last."""
    warm = held_at[WARM_UP:]
    count = max(1, len(warm) // 4)
    return warm[:count], warm[-count:]


def _with_control(finding: Finding, film: Path) -> Finding:
    """Without supervision the first fault is the end."""
    server = RtspServer(looped(film, fps=_FPS)).start()
    watched = Watched(open_camera(server.urls[0], supervised=False))
    came = 0
    try:
        with watched:
            server.stop()
            threading.Event().wait(1.0)
            server.start()
            before = len(watched.times)
            threading.Event().wait(BOUND_S)
            came = len(watched.times) - before
    finally:
        server.stop()
    return Finding(
        finding.name, finding.holds, finding.goal, finding.found,
        control=f"without supervision: {came} pictures within the bound",
        control_fails=came == 0,
        figures=finding.figures,
    )  # fmt: skip
