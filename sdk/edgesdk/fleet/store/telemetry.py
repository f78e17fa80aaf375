"""A device's telemetry becomes rows of figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from edgesdk.fleet.store.batch import SampleRow
from edgesdk.fleet.store.figures import scaled_row
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk_targets.messages import Percentiles, Sample

_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_NAME_CHARACTERS = 64
_json = json.JSONEncoder(separators=(",", ":")).encode


def sample_row(sample: Sample, shift_ms: int, latest_ms: int, clock_offset_ms: int | None) -> SampleRow:
    """Return one sample as a row.

    Args:
        sample: as the device said it.
        shift_ms: is added to its time, where the device does not trust its own clock.
        latest_ms: when it was told; it was not made later.
        clock_offset_ms: how far our clock was ahead of the device's when the message came, the way included; None of
            what comes late.
    """
    values = (
        sample.fps,
        sample.age_ms.p50,
        sample.age_ms.p95,
        sample.age_ms.p99,
        sample.cpu_percent,
        sample.memory_bytes,
        sample.temperature_c,
        sample.disk_free_bytes,
        sample.queued,
        clock_offset_ms,
        sample.captured,
        sample.processed,
        sum(sample.dropped.values()),
        sum(sample.lost.values()),
    )
    return SampleRow(
        min((sample.at - _1970) // _MILLISECOND + shift_ms, latest_ms),
        scaled_row(values),
        _latency(sample.latency_ms),
        _counts(sample.dropped),
        sample.state,
    )


def _latency(stages: Mapping[str, Percentiles]) -> str | None:
    told = {
        plain_text(stage, _NAME_CHARACTERS): [_tenth(value.p50), _tenth(value.p95)]
        for stage, value in stages.items()
        if value.p50 is not None or value.p95 is not None
    }
    return _json(told) if told else None


def _counts(dropped: Mapping[str, int]) -> str | None:
    told = {plain_text(cause, _NAME_CHARACTERS): count for cause, count in dropped.items() if count}
    return _json(told) if told else None


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
