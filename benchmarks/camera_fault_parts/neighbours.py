"""Four cameras at 15 frames a second on one model, one of them hung: rate and age of the other three."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import Any, Literal

from camera_fault_parts.finding import Finding
from edgesdk_agent.cameras.camera import health_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_testkit.camera_faults import LIMITS, OPEN_TIMEOUT_S, stop_reader
from edgesdk_testkit.pipelines import Sink, make
from edgesdk_testkit.rtsp_server import RtspServer, looped
from edgesdk_testkit.slots import Script

Hang = Literal["none", "server", "decoder"]
_FPS = 15
_GOOD = ("camera1", "camera2", "camera3")
_INFER_S = 0.005
_WITHIN = 0.05


def measure(film: Path, rounds: int, seconds: float) -> list[Finding]:
    """Run with and without the fault in turns; ratios are of the same round."""
    found = []
    for hang in ("server", "decoder"):
        runs: dict[str, list[dict[str, float]]] = {"none": [], hang: []}
        for number in range(rounds):
            for one in ("none", hang) if number % 2 == 0 else (hang, "none"):
                runs[one].append(_run(film, one, seconds))  # type: ignore[arg-type]
        found.append(_finding(hang, runs))
    return found


def _finding(hang: str, runs: dict[str, list[dict[str, float]]]) -> Finding:
    ratios = {
        key: statistics.median(
            broken[key] / well[key] for broken, well in zip(runs[hang], runs["none"], strict=True) if well[key]
        )
        for key in ("fps", "age_ms")
    }
    return Finding(
        f"four cameras, one with a hung {hang}",
        holds=abs(ratios["fps"] - 1) <= _WITHIN and ratios["age_ms"] <= 1 + _WITHIN,
        goal="the other three keep their rate and age within 5 %",
        found=f"rate x {ratios['fps']:.3f}, age x {ratios['age_ms']:.3f}",
        figures={"runs": runs, "ratios": ratios},
    )


def _run(film: Path, hang: Hang, seconds: float) -> dict[str, float]:
    good = RtspServer(*[looped(film, fps=_FPS, name=name) for name in _GOOD]).start()
    bad = RtspServer(looped(film, fps=_FPS)).start()
    values: dict[str, Any] = {"supervision": LIMITS, "open_timeout_s": OPEN_TIMEOUT_S}
    try:
        cameras = {name: open_camera(url, **values) for name, url in zip(_GOOD, good.urls, strict=True)}
        cameras["bad"] = open_camera(bad.urls[0], **values, isolate=hang == "decoder")
        pipeline = make(cameras, Script(infer_s=_INFER_S), Sink())
        pipeline.start()
        threading.Event().wait(1.0)
        if hang == "server":
            bad.freeze()
            deadline = time.monotonic() + 30
            while health_of(cameras["bad"]).state == "online" and time.monotonic() < deadline:
                threading.Event().wait(0.05)
        pipeline.interval_stats()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if hang == "decoder" and health_of(cameras["bad"]).state == "online":
                # Whenever its reader was started again, it hangs again.
                stop_reader(cameras["bad"])
            threading.Event().wait(min(2.0, max(0.0, ends - time.monotonic())))
        stats = pipeline.interval_stats()
        if hang == "server":
            bad.thaw()
        pipeline.stop()
    finally:
        good.stop()
        bad.stop()
    ages = [stats.cameras[name].age.p50 or 0.0 for name in _GOOD]
    return {
        "fps": sum(stats.cameras[name].fps for name in _GOOD) / len(_GOOD),
        "age_ms": 1e3 * statistics.mean(ages),
        "bad": float(stats.cameras["bad"].processed),
    }
