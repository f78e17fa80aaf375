"""What one simulated device says, as packets: who it is, its reports, its gaps, its answers to commands."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from edgesdk.fleet.sim.mqtt_packets import Line, Will
from edgesdk.fleet.sim.outbox import Kept, Kind
from edgesdk.fleet.sim.profiles import Profile
from edgesdk.fleet.sim.reports import BUNDLE, CAMERA, Place, ResultTexts, event, telemetry
from edgesdk_targets.messages import (
    DEFLATED,
    Birth,
    CameraName,
    Encoded,
    Event,
    Gap,
    GapCause,
    GapRange,
    Reply,
    Reported,
    State,
    encode,
    pack_segment,
    plain_json,
    schemas,
    topic_of,
)
from edgesdk_targets.topics import Channel, Node, Topic

WILL_DELAY_S = 10
_AGENT = "simulated"
_SCHEMAS = tuple(sorted(schemas()))
_CHANNELS = {
    Kind.RESULT: Channel.RESULT,
    Kind.TELEMETRY: Channel.TELEMETRY,
    Kind.EVENT: Channel.EVENT,
    Kind.GAP: Channel.EVENT,
}


@dataclass(frozen=True, slots=True)
class Said:
    """A message on its way: its line, and what it says."""

    line: Line
    payload: bytes
    retain: bool = False


class Speech:
    """The words of one device.

    Args:
        seed: of everything that is drawn; the same device says the same for it.
        boot_id: random, one for each start.
        texts: results, shared by all devices.
    """

    def __init__(self, node: Node, epoch: str, boot_id: str, seed: str, profile: Profile, texts: ResultTexts) -> None:
        self.node = node
        self.epoch = epoch
        self._name, self._epoch = str(node).encode(), epoch.encode()
        self._boot_id = boot_id
        self._seed = seed
        self._profile = profile
        self._texts = texts
        self._lines: dict[tuple[str, str], Line] = {}

    @property
    def listens_to(self) -> tuple[str, ...]:
        """The topics on which it is spoken to."""
        return str(Topic(self.node, Channel.ACK)), str(Topic(self.node, Channel.COMMAND))

    def will(self, session: int, next_seq: int, at_ms: int) -> Will:
        """Return what the broker says when the connection is lost."""
        state = self._state("offline", "connection lost", session, next_seq, at_ms)
        said = encode(state)
        return Will(str(topic_of(state)), said.payload, said.content_type, WILL_DELAY_S)

    def opening(self, session: int, next_seq: int, at_ms: int) -> tuple[Said, ...]:
        """Return what is said first on a connection: who it is, what is installed, that it is there."""
        at = _time(at_ms)
        birth = Birth(
            node=str(self.node), at=at, epoch=self.epoch, seq=next_seq, boot_id=self._boot_id, session=session,
            agent_version=_AGENT, target="simulated", variant="simulated", runtime="none",
            hardware={"machine": "simulated"}, bundle=BUNDLE, cameras=(CameraName(name=CAMERA, source="simulated:"),),
            schemas=_SCHEMAS,
        )  # fmt: skip
        reported = Reported(node=str(self.node), at=at, epoch=self.epoch, seq=next_seq, active=BUNDLE)
        online = self._state("online", "connected", session, next_seq, at_ms)
        return tuple(self._said(topic_of(one), encode(one), retain=True) for one in (birth, reported, online))

    def closing(self, session: int, next_seq: int, at_ms: int) -> Said:
        """Return what is said last, before a clean end."""
        state = self._state("offline", "stopped", session, next_seq, at_ms)
        return self._said(topic_of(state), encode(state), retain=True)

    def report(self, kept: Kept, queued: int) -> Said:
        """Return a report; of the same number always the same one."""
        return self._said(Topic(self.node, _CHANNELS[kept.kind]), self._body(kept, queued))

    def segment(self, reports: list[Kept], at_ms: int) -> Said:
        """Return several reports of the backlog, in the order of their numbers, as one message."""
        records = [(kept.seq, plain_json(self._body(kept, 0))) for kept in reports]
        body = pack_segment(str(self.node), _time(at_ms), self.epoch, records, level=1)
        return self._said(Topic(self.node, Channel.SEGMENT), Encoded(body, DEFLATED))

    def unreadable(self, payload: bytes) -> Said:
        """Return something said where results are."""
        return self._said(Topic(self.node, Channel.RESULT), Encoded(payload))

    def refusal(self, command_id: str, next_seq: int, at_ms: int) -> Said:
        """Return the answer to a command: a simulated device does nothing."""
        reply = Reply(
            node=str(self.node), at=_time(at_ms), epoch=self.epoch, seq=next_seq, id=command_id, ok=False, step="refused",
            code="unknown", message="This device is simulated, and does nothing.",
        )  # fmt: skip
        return self._said(topic_of(reply), encode(reply))

    def _body(self, kept: Kept, queued: int) -> Encoded:
        place = Place(self._name, self._epoch, kept.seq, kept.at_ms)
        if kept.kind is Kind.RESULT:
            return Encoded(self._texts.at(place, kept.turn))
        if kept.kind is Kind.GAP:
            gap = Gap.of(
                GapRange.model_validate(
                    {"first": part.first, "last": part.last, "cause": GapCause.BUDGET, "reports": part.reports}
                )
                for part in kept.gone
            )
            told = Event(
                node=str(self.node), at=_time(kept.at_ms), epoch=self.epoch, seq=kept.seq, name="gap", severity="warning",
                message=gap.in_words(), data=gap.to_data(),
            )  # fmt: skip
            return encode(told)
        # Drawn from the number, so that it is the same when it is said again.
        chance = random.Random(f"{self._seed} {kept.seq}")  # noqa: S311  (nothing secret)
        if kept.kind is Kind.TELEMETRY:
            frames = int(kept.seq * self._profile.fps / max(self._profile.rate, 0.01))
            return telemetry(place, chance, frames=frames, fps=self._profile.fps, queued=queued)
        return event(place, "scene_object", f"{chance.choice(('Somebody', 'A car', 'A delivery'))} came.")

    def _state(
        self, state: Literal["online", "offline"], reason: str, session: int, next_seq: int, at_ms: int
    ) -> State:
        return State(
            node=str(self.node), at=_time(at_ms), epoch=self.epoch, seq=next_seq, state=state, boot_id=self._boot_id,
            session=session, reason=reason,
        )  # fmt: skip

    def _said(self, topic: Topic, body: Encoded, *, retain: bool = False) -> Said:
        if topic.reply_id:
            return Said(Line.of(str(topic), body.content_type), body.payload)
        key = (topic.channel.value, body.content_type)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line.of(str(topic), body.content_type)
        return Said(line, body.payload, retain)


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc)
