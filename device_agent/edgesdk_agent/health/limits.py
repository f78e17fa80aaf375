"""From which figure on a check warns, and from which it says that something fails; all in one flat value with units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """The marks; each pair is (warning, failing).

    Attributes:
        camera_silent_periods: frame periods without a picture.
        camera_silent_least_s: seconds; no camera is called silent sooner, however fast it is.
        camera_silent_unknown_s: for a camera whose rate is not known.
        inference_still_s: without a result while pictures wait.
        age_budget_ms: within which a result should be there, 95 of 100; at `age_failing_times` of it, it fails.
        broker_away_s: without a connection.
        outbox_filled: share of the room.
        disk_free_bytes: least.
        memory_available_share: least, of the device's memory.
        rss_share: most, of what the process may take.
        temperature_c: most.
        fds_share: most, of what the process may open.
        errors_per_minute: in the log.
    """

    camera_silent_periods: tuple[float, float] = (5.0, 30.0)
    camera_silent_least_s: tuple[float, float] = (2.0, 10.0)
    camera_silent_unknown_s: tuple[float, float] = (10.0, 60.0)
    inference_still_s: tuple[float, float] = (5.0, 20.0)
    age_budget_ms: float = 1000.0
    age_failing_times: float = 3.0
    broker_away_s: tuple[float, float] = (30.0, 3600.0)
    outbox_filled: tuple[float, float] = (0.5, 0.9)
    disk_free_bytes: tuple[int, int] = (500_000_000, 100_000_000)
    memory_available_share: tuple[float, float] = (0.10, 0.03)
    rss_share: tuple[float, float] = (0.80, 0.95)
    temperature_c: tuple[float, float] = (80.0, 90.0)
    fds_share: tuple[float, float] = (0.70, 0.90)
    errors_per_minute: tuple[int, int] = (10, 60)
