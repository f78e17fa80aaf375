"""What is known of the agent and its device at one moment: plain values, so that each check is a pure function of them.

What could not be read is None, and a check that needs it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CameraState = Literal["connecting", "online", "degraded", "offline"]


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """One camera.

    Attributes:
        since_frame_s: seconds since its last picture, or since the start where none came yet.
        fps: pictures a second that it should bring, or None where that is not known.
        live: it brings pictures by itself; a file that has ended is no fault.
        failed: why it was given up; empty while it is read.
        state: what its supervision says.
        paused: it is not to bring anything now.
        left_out_by: the stage that hangs with one of its pictures, so that the others are lost; empty where none does.
        age_p95_ms: of its results in the last interval; None where there were none.
        age_budget_ms: its own, where it has one.
    """

    since_frame_s: float
    fps: float | None = None
    live: bool = True
    failed: str = ""
    state: CameraState = "online"
    paused: bool = False
    age_p95_ms: float | None = None
    age_budget_ms: float | None = None
    left_out_by: str = ""


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """The connection to the broker.

    Attributes:
        connected: now.
        for_s: how long that has been so, seconds.
        problem: why not; empty while there is a connection.
    """

    connected: bool
    for_s: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """Reports that wait.

    Attributes:
        filled: share of the room that is taken, 0 to 1.
        waiting: reports.
        lost: dropped since the last reading, as there was no room.
    """

    filled: float
    waiting: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Whether the wall clock can be believed; `reason` says why not."""

    trusted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks look at.

    Attributes:
        at: seconds of the monotonic clock.
        uptime_s: since the pipeline was started.
        cameras: by name.
        since_result_s: seconds since the last result, or since the start.
        frames_wait: pictures came after the last result, and are not processed.
        age_p95_ms: of the results of the last interval; None where there were none.
        broker, outbox: None without a broker.
        disk_free_bytes: where the agent keeps its data.
        rss_bytes: memory of this process; memory_limit_bytes: what it may take, by its control group or the device.
        memory_available_bytes, memory_total_bytes: of the device.
        temperature_c: of the processor; throttled: why the device slows itself down, empty where it does not.
        fds_open, fds_limit: file descriptors of this process.
        errors_per_minute: errors in the log during the last minute.
        system_cpu_percent: of all cores, 100 is all of them.
    """

    at: float
    uptime_s: float
    cameras: Mapping[str, CameraFacts] = field(default_factory=dict)
    since_result_s: float = 0.0
    frames_wait: bool = False
    age_p95_ms: float | None = None
    broker: BrokerFacts | None = None
    outbox: OutboxFacts | None = None
    disk_free_bytes: int | None = None
    rss_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()
    clock: ClockFacts | None = None
    fds_open: int | None = None
    fds_limit: int | None = None
    errors_per_minute: int = 0
    system_cpu_percent: float | None = None

    def age_share(self, budget_ms: float) -> float | None:
        """Return the age of results as a share of its budget: the worst camera's, as one late camera of many is late.

        Of live cameras only, where there are any that have results.

        Args:
            budget_ms: of cameras that have none of their own.
        """
        shares = [
            camera.age_p95_ms / (camera.age_budget_ms or budget_ms)
            for camera in self.cameras.values()
            if camera.live and camera.age_p95_ms is not None
        ]
        if not shares and self.age_p95_ms is not None:
            shares = [self.age_p95_ms / budget_ms]
        return max(shares, default=None)
