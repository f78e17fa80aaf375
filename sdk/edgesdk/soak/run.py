"""Run a soak: look once a second, break and mend by the timetable, start the agent again as a service manager would."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesdk.soak.field import Field
from edgesdk.soak.injections.injection import Injection
from edgesdk.soak.line import Bounds
from edgesdk.soak.process_figures import figures_of
from edgesdk.soak.series import Injected, Recording, SoakSample
from edgesdk.soak.timetable import Turn, latest_end_s, timetable
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_STOP_WITHIN_S = 30.0
_STORED_WITHIN_S = 10.0
_RECOVERY_S = Bounds().recovery_s


class Soak:
    """One run over a field that is not put up yet.

    Args:
        field: cameras, broker, recorder and agent.
        injections: what is broken.
        duration_s: of the whole; a recovery that is under way then is waited for.
        seed: of the order.
        asked: those that were asked for by name, and are missed where this machine cannot do them.
        recovery_s: the next fault waits for the recovery from the one before, but no longer than it may take.
        say: is told what happens, one line each.
    """

    def __init__(
        self,
        field: Field,
        injections: Sequence[Injection],
        *,
        duration_s: float,
        seed: int = 0,
        asked: Sequence[str] = (),
        recovery_s: float = _RECOVERY_S,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self._field = field
        self._duration_s = duration_s
        self._say = say
        self._asked = tuple(asked)
        self._recovery_s = recovery_s
        left_out = {one.name: why for one in injections if (why := one.missing(field))}
        self._left_out: Mapping[str, str] = left_out
        self._injections = {one.name: one for one in injections if one.name not in left_out}
        self._turns = timetable(
            duration_s,
            {name: one.lasts_s for name, one in self._injections.items()},
            seed,
            ends_agent={name for name, one in self._injections.items() if one.may_end_agent},
        )
        self._samples: list[SoakSample] = []
        self._injected: list[Injected] = []
        self._ends: list[str] = []
        self._active: Turn | None = None
        self._waiting: tuple[int, int, Mapping[str, int], int | None] | None = None
        self._began = 0.0

    def run(self, stop: threading.Event) -> Recording:
        """Run until the time is over or `stop` is set, and return what was seen.

        Raises:
            EdgeError: a part of the field does not begin.
        """
        for name, why in self._left_out.items():
            self._say(f"left out {name}: {why}")
        with self._field:
            self._began = time.monotonic()
            due = self._began
            try:
                while not stop.is_set() and (self._now() < self._duration_s or self._recovers(self._now())):
                    self._tick()
                    due += _EVERY_S
                    stop.wait(max(0.0, due - time.monotonic()))
            finally:
                self._mend()
            return self._finished()

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _tick(self) -> None:
        now = self._now()
        self._keep_agent_running()
        if self._active is not None and now >= self._active.ends_s:
            self._mend()
        if self._active is None and self._turns and now >= self._turns[0].begins_s and not self._recovers(now):
            self._begin(self._turns.pop(0).begun_at(now))
        self._look(now)

    def _recovers(self, now: float) -> bool:
        """Whether the last fault may still be recovered from: another one now would hide whether it is.

        A machine that is busy takes longer than the rest that the timetable leaves, and what comes later waits for it.
        """
        return self._waiting is not None and now - self._injected[-1].ended_s <= self._recovery_s

    def _keep_agent_running(self) -> None:
        agent = self._field.agent
        if agent.pid or (self._active is not None and self._active.name == "sigkill"):
            return
        during = self._active.name if self._active is not None else ""
        allowed = bool(during) and self._injections[during].may_end_agent
        if agent.code is not None and not allowed:
            self._ends.append(f"code {agent.code} at {self._now():.0f} s{f', during {during}' if during else ''}")
        self._say("the agent is started again")
        agent.start()

    def _begin(self, turn: Turn) -> None:
        if turn.ends_s <= latest_end_s(self._duration_s):
            self._break(turn)
        else:
            # So late there would be no time left to see the recovery.
            self._say(f"no {turn.name} at {turn.begins_s:.0f} s: recovering took its time")

    def _break(self, turn: Turn) -> None:
        self._say(f"{turn.name} at {self._now():.0f} s")
        # What was broken before has not recovered within its bound: it never did.
        self._waiting = None
        self._active = turn
        injection = self._injections[turn.name]
        self._injected.append(Injected(turn.name, self._now(), self._now(), may_lose=injection.may_lose))
        injection.begin(self._field)

    def _mend(self) -> None:
        turn, self._active = self._active, None
        if turn is None:
            return
        note = ""
        try:
            self._injections[turn.name].end(self._field)
        except EdgeError as error:
            note = error.message
        self._injected[-1] = replace(self._injected[-1], ended_s=self._now(), note=note)
        self._waiting = (0, 0, {}, None)

    def _look(self, now: float) -> None:
        field = self._field
        pid, status, recorded = field.agent.pid, field.status(), field.recorded()
        figures = figures_of(pid) if pid else None
        cameras = _cameras(status)
        sample = SoakSample(
            at_s=round(now, 2),
            pid=pid if figures else 0,
            rss_bytes=figures.rss_bytes if figures else 0,
            fds=figures.fds if figures else 0,
            threads=figures.threads if figures else 0,
            processed=cameras,
            age_p95_ms=None if status is None else status.get("age_p95_ms"),
            recorded=recorded,
        )
        self._samples.append(sample)
        if self._waiting is not None and status is not None:
            self._see_recovery(
                now, sample, connected=bool((status.get("broker") or {"connected": True}).get("connected"))
            )

    def _see_recovery(self, now: float, sample: SoakSample, *, connected: bool) -> None:
        """Note the recovery when every camera, and the recorder, advanced since the first look after the end."""
        assert self._waiting is not None  # noqa: S101  (asked by the caller)
        pid, _, base, recorded = self._waiting
        if pid != sample.pid:
            self._waiting = (sample.pid, 0, dict(sample.processed), sample.recorded)
            return
        seen = all(sample.processed.get(name, 0) > base.get(name, 0) for name in self._field.cameras)
        stored = sample.recorded is None or recorded is None or sample.recorded > recorded
        if seen and stored and connected:
            last = self._injected[-1]
            self._injected[-1] = replace(last, recovered_s=round(now - last.ended_s, 1))
            self._say(f"recovered from {last.name} after {now - last.ended_s:.1f} s")
            self._waiting = None

    def _finished(self) -> Recording:
        field = self._field
        self._say("stops")
        code = field.agent.stop(_STOP_WITHIN_S)
        self._wait_stored()
        return Recording(
            cameras=tuple(field.cameras),
            samples=tuple(self._samples),
            injected=tuple(self._injected),
            unplanned_ends=tuple(self._ends),
            exit_code=code,
            ledger=field.balance(),
            left_out=dict(self._left_out),
            asked=self._asked,
        )

    def _wait_stored(self) -> None:
        """Wait until the recorder has stored what it got: its commits come in groups."""
        pause, before = threading.Event(), -1
        deadline = time.monotonic() + _STORED_WITHIN_S
        while time.monotonic() < deadline and (now := self._field.recorded()) is not None and now != before:
            before = now
            pause.wait(1.0)


def _cameras(status: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the frames with a result, by camera."""
    if status is None:
        return {}
    cameras = (status.get("frames") or {}).get("cameras") or {}
    # Of one camera the totals are its own.
    return {name: int(one["frames"]["processed"]) for name, one in cameras.items()}
