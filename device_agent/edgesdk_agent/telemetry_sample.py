"""One sample of telemetry from the pipeline's counts, the device's vitals and the queue's losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgesdk_agent.cameras.camera import CameraCounts
from edgesdk_agent.cameras.supervision.health import CameraHealth
from edgesdk_agent.link.presence import utc
from edgesdk_agent.link.report_queue import QueueCounts
from edgesdk_agent.meter import FrameStats
from edgesdk_targets.messages import CameraSample, Percentiles, Sample

if TYPE_CHECKING:
    # At run time it would bring psutil, which only the reading of vitals needs.
    from edgesdk_agent.vitals import Vitals


def telemetry_sample(
    *,
    at: float,
    interval: FrameStats,
    totals: FrameStats,
    vitals: Vitals,
    queue: QueueCounts,
    state: str = "",
    cameras: Mapping[str, CameraHealth] | None = None,
    counts: Mapping[str, int] | None = None,
) -> Sample:
    """Return the sample of one interval.

    Args:
        at: its end, seconds since 1970.
        interval: what happened in it: rates and percentiles.
        totals: what happened since the start: counts.
        vitals: of now.
        queue: what became of the reports so far.
        state: of the device, by its health checks.
        cameras: by name, what each camera's supervision says.
        counts: of the registry, 64 at most; it says how many it left out.
    """
    health = cameras or {}
    return Sample(
        at=utc(at),
        window_s=round(interval.seconds, 3),
        fps=round(interval.fps, 2),
        captured=totals.captured,
        processed=totals.processed,
        dropped=dict(totals.dropped),
        age_ms=Percentiles(**interval.age.to_ms()),
        latency_ms={
            "preprocess": Percentiles(**interval.preprocess.to_ms()),
            "infer": Percentiles(**interval.infer.to_ms()),
        },
        queued=queue.pending + queue.in_flight,
        lost=queue.lost,
        cpu_percent=vitals.cpu_percent,
        memory_bytes=vitals.rss_bytes,
        temperature_c=vitals.temperature_c,
        disk_free_bytes=vitals.disk_free_bytes,
        state=state,
        cameras={
            name: _camera(totals.cameras[name], recent, health.get(name)) for name, recent in interval.cameras.items()
        },
        counts=dict(counts or {}),
    )


def _camera(totals: FrameStats, interval: FrameStats, health: CameraHealth | None) -> CameraSample:
    source = totals.source or CameraCounts()
    return CameraSample(
        state="" if health is None else health.state,
        cause="" if health is None else health.cause,
        fps=round(interval.fps, 2),
        captured=totals.captured,
        processed=totals.processed,
        dropped=dict(totals.dropped),
        age_ms=Percentiles(**interval.age.to_ms()),
        stalls=source.stalls,
        reconnects=source.reconnects,
        frozen=source.frozen,
        corrupt=source.corrupt,
        resized=source.resized,
        size_alarms=source.size_alarms,
        rate_changes=source.rate_changes,
        skipped=source.skipped,
    )
