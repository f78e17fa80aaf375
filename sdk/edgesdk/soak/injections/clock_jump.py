"""A wall clock that is set: the agent's jumps by an hour while it runs, and back; this machine's own is left alone."""

from __future__ import annotations

from edgesdk.soak.field import Field
from edgesdk.soak.injections.wall_clock import WallClock

_AHEAD_S = 3600


class ClockJump:
    """An hour forward while it lasts, and back at the end."""

    name = "clock-jump"
    lasts_s = 8.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:
        """Say why it cannot be done here; where it can, the agent is started with a clock that can be moved."""
        clock = WallClock(field.folder)
        why = clock.missing() or clock.build()
        if not why:
            field.environment.update(clock.environment)
        return why

    def begin(self, field: Field) -> None:
        WallClock(field.folder).set_ahead(_AHEAD_S)

    def end(self, field: Field) -> None:
        WallClock(field.folder).set_ahead(0)
