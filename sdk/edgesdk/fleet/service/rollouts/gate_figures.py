"""What a roll-out's gate is given to judge by: each device before and after, and some that were not touched.

Devices and those that they are compared with are read at one moment, or what changed for all meanwhile would be held
against some; and not at every look, as of ten thousand devices that is ten thousand times three questions to the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from edgesdk.fleet.rollout.gate import controls_of, judged_now
from edgesdk.fleet.rollout.health import Compared
from edgesdk.fleet.rollout.model import Device, Rollout
from edgesdk.fleet.store.rollout_baselines import Baseline, read_baselines
from edgesdk.fleet.store.rollout_figures import ENOUGH_SAMPLES, figures_after, figures_before
from edgesdk.fleet.store.rollouts import Stored

# Of a soak; and however long that is, a bundle that does worse is found out within so long.
_SHARE_OF_SOAK = 0.1
_MOST_MS = 300_000
# How long one look may read how devices did before that have just been told; the others' turn is the next look.
_TOLD_S = 0.5


@dataclass(frozen=True, slots=True)
class Judged:
    """What was read last, as `Seen` takes it."""

    health: Mapping[str, Compared] = field(default_factory=dict)
    controls: Sequence[Compared] = ()


class GateFigures:
    """Reads figures for one roll-out.

    Attributes:
        unwritten: how devices did before, by their rows, that is still to be kept; whoever has kept it clears it.
    """

    def __init__(self, connection: Connection, stored: Stored) -> None:
        self.unwritten: dict[int, Baseline] = {}
        self._kept = read_baselines(connection, stored.id)
        self._read_ms: int | None = None
        self._wave = -1
        self._health: dict[tuple[str, float | None], Compared] = {}
        self._controls: Sequence[Compared] = ()

    def judged(self, connection: Connection, stored: Stored, now_ms: int) -> Judged:
        """Return what the gate goes by, read anew where that is due."""
        rollout = stored.rollout
        if self._is_due(rollout, now_ms):
            self._health = {
                (one.node, one.confirmed_at): self._compared(
                    connection, stored, one.node, (one.told_at, one.confirmed_at), now_ms
                )
                for one in judged_now(rollout)
            }
            since = (rollout.wave_at, rollout.wave_at)
            self._controls = [
                self._compared(connection, stored, one.node, since, now_ms) for one in controls_of(rollout)
            ]
            self._read_ms, self._wave = now_ms, rollout.wave
        self._note_told(connection, stored)
        # What was read of a device that has gone and come again since is of another time.
        places = ((one.node, one.confirmed_at) for one in judged_now(rollout))
        return Judged({place[0]: self._health[place] for place in places if place in self._health}, self._controls)

    def _is_due(self, rollout: Rollout, now_ms: int) -> bool:
        if self._read_ms is None or self._wave != rollout.wave:
            return True
        every_ms = min(rollout.policy.soak_s * 1000 * _SHARE_OF_SOAK, _MOST_MS)
        # A clock that was put back shows a time before the last look.
        return not self._read_ms <= now_ms < self._read_ms + every_ms

    def _compared(
        self, connection: Connection, stored: Stored, node: str, times: tuple[float | None, float | None], now_ms: int
    ) -> Compared:
        """Return a device before the first of two times and since the second."""
        policy, row = stored.rollout.policy, stored.numbers[node]
        until_ms, since_ms = (round((at or 0) * 1000) for at in times)
        kept = self._kept.get(row)
        # One that was away at its turn may have told since what it did before that.
        if kept is None or kept.until_ms != until_ms or kept.figures.samples < min(policy.reports, ENOUGH_SAMPLES):
            self._note_before(connection, stored, row, until_ms)
        after = figures_after(connection, row, since_ms, now_ms + 1, newest=2 * policy.reports)
        return Compared(self._kept[row].figures, after)

    def _note_told(self, connection: Connection, stored: Stored) -> None:
        """Read how those did before who have had their turn: their samples may be gone when they come to their end."""
        until = time.monotonic() + _TOLD_S
        for one in _told(stored.rollout):
            row, until_ms = stored.numbers[one.node], round((one.told_at or 0) * 1000)
            kept = self._kept.get(row)
            if kept is None or kept.until_ms != until_ms:
                self._note_before(connection, stored, row, until_ms)
                if time.monotonic() > until:
                    return

    def _note_before(self, connection: Connection, stored: Stored, row: int, until_ms: int) -> None:
        span_ms = round(stored.rollout.policy.baseline_s * 1000)
        found = Baseline(until_ms, figures_before(connection, row, until_ms, span_ms))
        kept = self._kept.get(row)
        if kept is None or kept.until_ms != until_ms or found.figures.samples > kept.figures.samples:
            self._kept[row] = self.unwritten[row] = found


def _told(rollout: Rollout) -> Iterator[Device]:
    """Return the devices of the wave under way that were told, and are not back."""
    for one in rollout.of_wave(rollout.wave):
        if one.told_at is not None and one.touched and not one.step.recalled:
            yield one
