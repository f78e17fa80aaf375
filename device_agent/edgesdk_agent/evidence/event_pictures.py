"""What is kept of an event: the picture of its first frame, and a clip that grows while it goes on.

It is asked on the lane, while the event's frame is told, so that the picture is that very frame, and the clip is cut around the
frame's own time, however late that is told.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgesdk_agent.events.event import SceneEvent
from edgesdk_agent.evidence.clip_camera import ClipRequest
from edgesdk_agent.evidence.clips import Clips
from edgesdk_agent.evidence.send_rules import SendRules
from edgesdk_agent.evidence.snapshots import SnapshotRequest, Snapshots
from edgesdk_targets.errors import InputError

log = logging.getLogger(__name__)

# Of events that never end nobody remembers more than this; the oldest is forgotten.
_OPEN_AT_MOST = 4096


@dataclass(frozen=True, slots=True)
class _Kept:
    snapshot: SnapshotRequest | None
    clip: ClipRequest | None


class EventPictures:
    """Keep pictures and clips of events.

    Args:
        snapshots: takes pictures; clips: makes clips; None where there are none.
        rules: say what is sent by itself.
    """

    def __init__(self, snapshots: Snapshots | None, clips: Clips | None, rules: SendRules) -> None:
        self._snapshots = snapshots
        self._clips = clips
        self._rules = rules
        self._open: dict[str, _Kept] = {}
        self._counts = {"events": 0, "no_snapshot": 0, "no_clip": 0}

    def __call__(self, event: SceneEvent, captured_at: float, *, snapshot: bool, clip: bool) -> SceneEvent:
        """Take note of an event before it is told, and return it with the names of what is kept of it.

        Args:
            captured_at: when the picture was taken that tells of it, monotonic seconds.
            snapshot, clip: whether its rule wants one.
        """
        if event.phase in {"new", "once"}:
            if not snapshot and not clip:
                return event
            kept = self._begin(event, captured_at, snapshot=snapshot, clip=clip)
        else:
            known = self._open.get(event.id)
            if known is None:
                return event
            kept = known
        self._mark(kept, event)
        if event.phase == "end":
            self._open.pop(event.id, None)
            if kept.clip is not None and self._clips is not None:
                self._clips.end(kept.clip, captured_at)
        return replace(
            event,
            snapshot="" if kept.snapshot is None else kept.snapshot.id,
            clip="" if kept.clip is None else kept.clip.id,
        )

    def counts(self) -> Mapping[str, int]:
        """Return of how many events something was to be kept, and of how many that could not be."""
        return dict(self._counts)

    def _begin(self, event: SceneEvent, captured_at: float, *, snapshot: bool, clip: bool) -> _Kept:
        self._counts["events"] += 1
        lasting = event.phase == "new"
        kept = _Kept(
            self._picture(event) if snapshot and self._snapshots is not None else None,
            self._clip(event, captured_at, lasting=lasting) if clip and self._clips is not None else None,
        )
        if lasting:
            if len(self._open) >= _OPEN_AT_MOST:
                self._open.pop(next(iter(self._open)))
            self._open[event.id] = kept
        return kept

    def _picture(self, event: SceneEvent) -> SnapshotRequest | None:
        assert self._snapshots is not None  # noqa: S101  (asked by the caller)
        asked = self._snapshots.ask(event.camera, event=event.id)
        self._counts["no_snapshot"] += asked is None
        return asked

    def _clip(self, event: SceneEvent, captured_at: float, *, lasting: bool) -> ClipRequest | None:
        assert self._clips is not None  # noqa: S101  (asked by the caller)
        try:
            return self._clips.ask(event.camera, at=captured_at, event=event.id, lasting=lasting)
        except InputError as error:
            # Counted; a line for each event would fill the log of a camera without a stream.
            self._counts["no_clip"] += 1
            log.debug("No clip of event %s: %s", event.id, error.message)
            return None

    def _mark(self, kept: _Kept, event: SceneEvent) -> None:
        """Have it sent where a rule fits now; what fitted once stays so."""
        if kept.clip is not None and self._rules.sends_clip(event):
            kept.clip.send = True
        if kept.snapshot is not None and self._rules.sends_picture(event):
            kept.snapshot.send = True
