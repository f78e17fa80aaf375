"""How a simulated fleet lives: how often devices report, how they come and how they go."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.errors import InputError


@dataclass(frozen=True, slots=True)
class Profile:
    """One way to live; all times in seconds.

    Attributes:
        rate: reports a second of one device, on average.
        telemetry: which part of them are telemetry.
        events: which part of them are events.
        burst: so many reports come close together, as when somebody passes a camera; 1: evenly.
        fps: what a device says of its cameras.
        online_s: how long a connection lasts on average before it breaks without a word; 0: for good.
        away_s: for how long at most it is away then.
        backlog: reports that each device has kept when it first connects.
        objects: in a picture, at most.
    """

    name: str
    help: str
    rate: float = 1.0
    telemetry: float = 0.1
    events: float = 0.0
    burst: int = 1
    fps: float = 30.0
    online_s: float = 0.0
    away_s: float = 0.0
    backlog: int = 0
    objects: int = 3


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("steady", "each device reports evenly: nine results, then telemetry"),
        Profile("shop", "results come in bursts as people do, with an event in a hundred reports", events=0.01, burst=12),
        Profile("flapping", "as steady, but each connection breaks about every 20 s for up to 5 s", online_s=20, away_s=5),
        Profile("morning", "each device comes with an hour of reports that it has kept", backlog=3600),
        Profile("quiet", "devices that say only how they are, each half minute", rate=1 / 30, telemetry=1.0),
        Profile("results", "results alone", telemetry=0.0),
    )
}  # fmt: skip


def profile_named(name: str) -> Profile:
    """Return a profile.

    Raises:
        InputError: there is none of this name.
    """
    if name not in PROFILES:
        raise InputError(f"There is no profile {name[:40]!r}.", hint=f"One of {', '.join(PROFILES)}.")
    return PROFILES[name]
