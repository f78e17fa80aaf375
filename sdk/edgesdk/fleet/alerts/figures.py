"""The figure that a rule looks at, out of what is known of a device: pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.alerts.scope import Subject

# A device has a baseline of its own after so many hours of which it reported; fewer would be chance.
BASELINE_HOURS = 6
# What was said so long ago says nothing about now.
STALE_S = 300.0


@dataclass(frozen=True, slots=True)
class Vital:
    """What is known of one device now.

    Attributes:
        presence: what the fleet knows of its connection; `never` has not been seen, `revoked` is not to be seen.
        offline_since: seconds of the clock that `now` is of; None while it is online.
        sampled_at: when the last telemetry came.
        fps, age_p95_ms, temperature_c: of that telemetry; None where it had none.
        fps_baseline: as `baseline` says.
    """

    subject: Subject
    presence: Literal["online", "offline", "never", "revoked"]
    offline_since: float | None = None
    sampled_at: float | None = None
    fps: float | None = None
    age_p95_ms: float | None = None
    temperature_c: float | None = None
    fps_baseline: float | None = None


def figure(rule: Rule, vital: Vital, now: float, *, blind_since: float | None = None) -> float | None:
    """Return the figure, or None where nothing is known.

    Args:
        blind_since: since when the collector itself has heard nobody. Devices that seem to have gone offline since then
            have not: it is the fleet that cannot see.
    """
    if vital.presence in ("never", "revoked"):
        return None
    if rule.kind == "offline_for":
        if blind_since is not None:
            return None
        return 0.0 if vital.offline_since is None else max(0.0, now - vital.offline_since)
    # A device that is offline has one alert about that, and no others about figures of its past.
    if vital.presence == "offline" or vital.sampled_at is None or now - vital.sampled_at > STALE_S:
        return None
    if rule.kind == "age_over":
        return vital.age_p95_ms
    if rule.kind == "temperature_over":
        return vital.temperature_c
    if vital.fps is None or not vital.fps_baseline:
        return None
    return vital.fps / vital.fps_baseline


def baseline(hourly_fps: Sequence[float | None]) -> float | None:
    """Return a device's own usual rate: the median of its hours; None before it has reported long enough.

    The median, so that a night without power or an hour of trouble does not become what is usual.
    """
    known = [fps for fps in hourly_fps if fps is not None and fps > 0]
    return statistics.median(known) if len(known) >= BASELINE_HOURS else None
