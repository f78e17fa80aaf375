"""The closing summary of a run: the stable keys that scripts read."""

from __future__ import annotations

from edgesdk_agent.meter import FrameStats
from edgesdk_agent.vitals import Vitals


def run_summary(stats: FrameStats, vitals: Vitals) -> dict[str, object]:
    """Return `{frames, fps, age_ms, cpu_s_per_frame, rss_bytes, …}` of one pipeline."""
    cpu_s = vitals.cpu_s
    per_frame = None if cpu_s is None or not stats.processed else round(cpu_s / stats.processed, 6)
    return {**stats.to_json(), "cpu_s_per_frame": per_frame, "rss_bytes": vitals.rss_bytes}
