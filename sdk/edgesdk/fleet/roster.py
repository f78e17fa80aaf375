"""What is known of each device, from its messages alone: rules without a clock, a socket or a screen.

A device is offline when the last word about *its present connection* says so. Birth and state carry start and
connection, in whatever order the broker delivers them; an `offline` of an earlier connection is counted and ignored.
A device that is said to be online and silent for long is shown as stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from edgesdk.fleet.result_text import printable, result_text
from edgesdk.fleet.seq_tracker import SeqTracker
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import (
    Birth,
    BundleName,
    Event,
    Message,
    ResultMessage,
    Sample,
    State,
    Telemetry,
    UpMessage,
    decode,
)

DeviceState = Literal["online", "offline", "stale", "unknown"]

# What one watcher keeps, however many names somebody invents.
MAX_DEVICES = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """One device at one moment.

    Attributes:
        heard_s: seconds since its last live message; None if all that is known was retained.
        results: distinct results that came; missing: numbers of its sequence that did not.
    """

    node: str
    state: DeviceState
    bundle: BundleName
    last_result: str
    last_event: str
    heard_s: float | None
    sample: Sample | None
    results: int
    duplicates: int
    missing: int
    ignored_wills: int

    @property
    def dropped(self) -> int:
        """Frames dropped since the device's start, for any cause."""
        return sum(self.sample.dropped.values()) if self.sample else 0

    def to_json(self) -> dict[str, object]:
        """Return the row with stable keys."""
        sample = self.sample.model_dump(mode="json") if self.sample else None
        return {
            "node": self.node,
            "state": self.state,
            "bundle": self.bundle.model_dump(),
            "last_result": self.last_result,
            "last_event": self.last_event,
            "heard_s": None if self.heard_s is None else round(self.heard_s, 3),
            "results": self.results,
            "duplicates": self.duplicates,
            "missing": self.missing,
            "ignored_wills": self.ignored_wills,
            "telemetry": sample,
        }


@dataclass(slots=True)
class _Device:
    """Everything kept of one device."""

    since: float
    birth: Birth | None = None
    state: State | None = None
    heard_at: float | None = None
    sample: Sample | None = None
    last_result: str = ""
    last_event: str = ""
    results: int = 0
    ignored_wills: int = 0
    epoch: str = ""
    tracker: SeqTracker = field(default_factory=SeqTracker)

    def is_of_the_past(self, state: State) -> bool:
        """Tell whether a state speaks of a connection before the one that the birth announced."""
        if self.birth is None:
            return False
        if state.boot_id != self.birth.boot_id:
            return state.state == "offline"
        return state.session < self.birth.session


class Roster:
    """The devices and what they last said.

    Args:
        stale_after_s: silence after which a device that says it is online is not believed.
        tenant: keep only this tenant's devices; all when empty.
    """

    def __init__(self, *, stale_after_s: float = 30.0, tenant: str = "") -> None:
        self.messages = 0
        self.malformed = 0
        self.malformed_last = ""
        self._stale_after_s = stale_after_s
        self._tenant = tenant
        self._devices: dict[str, _Device] = {}

    def receive(self, topic: str, payload: bytes, content_type: str, *, retained: bool, now: float) -> None:
        """Take in one message as it came; what cannot be read is counted, and the last reason kept.

        Args:
            topic: where it was said.
            payload: what was said.
            content_type: MQTT 5's property, empty where absent.
            retained: it was kept by the broker, and may be of any age.
            now: monotonic seconds.
        """
        self.messages += 1
        try:
            message = decode(topic, payload, content_type)
        except InputError as error:
            self.malformed += 1
            self.malformed_last = printable(error.message, 200)
            return
        self.apply(message, retained=retained, now=now)

    def apply(self, message: Message, *, retained: bool, now: float) -> None:
        """Take in one decoded message."""
        if self._tenant and not message.node.startswith(f"{self._tenant}."):
            return
        device = self._devices.get(message.node)
        if device is None:
            if len(self._devices) >= MAX_DEVICES:
                return
            device = self._devices.setdefault(message.node, _Device(since=now))
        if not retained:
            device.heard_at = now
        if isinstance(message, Birth):
            self._born(device, message)
        elif isinstance(message, State):
            device.ignored_wills += message.state == "offline" and device.is_of_the_past(message)
            if not device.is_of_the_past(message):
                device.state = message
        elif isinstance(message, (ResultMessage, Telemetry, Event)) and not retained:
            self._reported(device, message)

    def rows(self, now: float) -> list[Row]:
        """Return every device, by name."""
        return [self._row(node, device, now) for node, device in sorted(self._devices.items())]

    def to_json(self, now: float) -> dict[str, object]:
        """Return everything with stable keys."""
        return {
            "devices": [row.to_json() for row in self.rows(now)],
            "messages": self.messages,
            "malformed": self.malformed,
            "malformed_last": self.malformed_last,
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def _born(self, device: _Device, birth: Birth) -> None:
        known = device.birth
        if known is not None and known.boot_id == birth.boot_id and birth.session < known.session:
            return
        device.birth = birth
        # The state may have come first, and be of the connection before.
        if device.state is not None and device.is_of_the_past(device.state):
            device.ignored_wills += device.state.state == "offline"
            device.state = None

    def _reported(self, device: _Device, message: UpMessage) -> None:
        if message.epoch != device.epoch:
            device.epoch, device.tracker = message.epoch, SeqTracker()
            device.results = 0
        is_new = device.tracker.see(message.seq, in_order=not isinstance(message, Event))
        if not is_new:
            return
        if isinstance(message, ResultMessage):
            device.results += 1
            device.last_result = result_text(message.result)
        elif isinstance(message, Telemetry):
            device.sample = message.samples[-1]
        elif isinstance(message, Event):
            device.last_event = printable(f"{message.name}: {message.message}" if message.message else message.name)

    def _row(self, node: str, device: _Device, now: float) -> Row:
        state: DeviceState = "unknown"
        if device.state is not None:
            state = device.state.state
        elif device.birth is not None or device.heard_at is not None:
            state = "online"
        heard = device.heard_at if device.heard_at is not None else device.since
        if state == "online" and now - heard > self._stale_after_s:
            state = "stale"
        return Row(
            node=node,
            state=state,
            bundle=device.birth.bundle if device.birth else BundleName(),
            last_result=device.last_result,
            last_event=device.last_event,
            heard_s=None if device.heard_at is None else now - device.heard_at,
            sample=device.sample,
            results=device.results,
            duplicates=device.tracker.duplicates,
            missing=device.tracker.missing,
            ignored_wills=device.ignored_wills,
        )
