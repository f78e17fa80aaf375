"""The agent's metrics: frames, ages, stages, reports, vitals and health, from the same values that telemetry tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from edgesdk_agent.health.assessment import Assessment
from edgesdk_agent.latency_histogram import Percentiles
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.metrics.exposition import Family, metric_name
from edgesdk_agent.metrics.registry import Counted

if TYPE_CHECKING:
    from edgesdk_agent.vitals import Vitals


def frame_families(totals: FrameStats, recent: FrameStats | None) -> list[Family]:
    """Return what happened to the frames, camera by camera.

    Args:
        totals: since the start.
        recent: of the last interval; None before the first is over.
    """
    captured = Family("edgesdk_frames_captured_total", "counter", "Frames captured.")
    processed = Family("edgesdk_frames_processed_total", "counter", "Frames with a result.")
    dropped = Family("edgesdk_frames_dropped_total", "counter", "Frames without a result, by cause.")
    for name, camera in totals.cameras.items():
        captured.add(camera.captured, camera=name)
        processed.add(camera.processed, camera=name)
        for cause, count in sorted(camera.dropped.items()):
            dropped.add(count, camera=name, cause=cause)
    cpu = Family(
        "edgesdk_stage_cpu_seconds_total", "counter", "Processor time of the pipeline's own threads, by stage."
    )
    for stage, seconds in totals.cpu_s.items():
        cpu.add(max(0.0, seconds), stage=stage)
    return [captured, processed, dropped, cpu, *([] if recent is None else _recent_families(recent))]


def _recent_families(recent: FrameStats) -> list[Family]:
    rate = Family("edgesdk_frames_per_second", "gauge", "Results a second, over the last interval.")
    age = Family("edgesdk_frame_age_seconds", "gauge", "Age of frames at their result, over the last interval.")
    stage = Family("edgesdk_stage_seconds", "gauge", "Time that a stage took for a frame, over the last interval.")
    for name, camera in recent.cameras.items():
        rate.add(camera.fps, camera=name)
        _quantiles(age, camera.age, camera=name)
    _quantiles(stage, recent.preprocess, stage="preprocess")
    _quantiles(stage, recent.infer, stage="infer")
    return [rate, age, stage]


def vitals_families(vitals: Vitals) -> list[Family]:
    """Return how the device is; what could not be read is left out."""
    told: dict[str, tuple[float | None, str]] = {
        "edgesdk_process_memory_bytes": (vitals.rss_bytes, "Memory of the agent."),
        "edgesdk_memory_available_bytes": (vitals.memory_available_bytes, "Memory that the device has left."),
        "edgesdk_temperature_celsius": (vitals.temperature_c, "Temperature of the processor."),
        "edgesdk_disk_free_bytes": (vitals.disk_free_bytes, "Room where the agent keeps its data."),
        "edgesdk_process_open_fds": (vitals.fds, "Open file descriptors of the agent."),
        "edgesdk_process_threads": (vitals.threads, "Threads of the agent."),
    }
    gauges = [Family(name, "gauge", help_text).add(value) for name, (value, help_text) in told.items()]
    return [Family("edgesdk_process_cpu_seconds_total", "counter", "Processor time.").add(vitals.cpu_s), *gauges]


def health_families(assessment: Assessment) -> list[Family]:
    """Return the level of each check: 0 ok, 1 warning, 2 failing."""
    level = Family("edgesdk_health_level", "gauge", "0 ok, 1 warning, 2 failing, by check.")
    for finding in assessment.findings:
        level.add(int(finding.level), check=finding.check, subject=finding.subject)
    degraded = Family("edgesdk_degraded", "gauge", "1 where at least one check is not well.")
    return [level, degraded.add(float(assessment.state == "degraded"))]


def count_families(counted: Iterable[Counted]) -> list[Family]:
    """Return a family for each group of counts."""
    families: dict[str, Family] = {}
    for one in counted:
        name = f"edgesdk_{metric_name(one.group)}_total"
        family = families.setdefault(name, Family(name, "counter", f"Counts of {one.group}."))
        for what, count in one.counts.items():
            family.add(count, **_label_names(one.labels), what=what)
    return list(families.values())


def _label_names(labels: Mapping[str, str]) -> dict[str, str]:
    return {metric_name(name): value for name, value in labels.items()}


def _quantiles(family: Family, values: Percentiles, **labels: str) -> None:
    for quantile, value in (("0.5", values.p50), ("0.95", values.p95), ("0.99", values.p99)):
        family.add(value, **labels, quantile=quantile)
