"""What a report consists of, for the store: of a result its camera and what was seen, an event's fields, samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import JsonValue

from edgesdk.fleet.store.batch import EventRow
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.telemetry import sample_row
from edgesdk_targets.messages import Event, ResultMessage, Telemetry, UpMessage

_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
# A time near the ends of the calendar, in a zone of its own, is none of UTC's.
_EARLIEST_MS = (datetime(2, 1, 1, tzinfo=timezone.utc) - _1970) // _MILLISECOND
_LATEST_MS = (datetime(9999, 1, 1, tzinfo=timezone.utc) - _1970) // _MILLISECOND
# No clock of a device is this far ahead and right, nor so far behind: nobody reported anything then, and what is stored
# under such a time is forgotten for its age as soon as it is there.
_DAY_MS = 86_400_000
_AHEAD_MS = _DAY_MS
_BEFORE_ALL_MS = (datetime(2020, 1, 1, tzinfo=timezone.utc) - _1970) // _MILLISECOND
_LABELS = 32
_NAME_CHARACTERS = 64


class Said(NamedTuple):
    """How a message came.

    Attributes:
        received_ms: our clock; 0 where nobody looked.
        live: when it was made, not as a piece of backlog.
        retained: the broker had kept it.
    """

    received_ms: int
    live: bool
    retained: bool = False

    def time_of(self, message: UpMessage) -> int:
        """Return when a message was said: by its device's clock, or by ours where that is not to be trusted."""
        # In parts: to divide one length of time by another takes four times as long, and it is done for each message.
        since = message.at - _1970
        at_ms = since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
        return believed_ms(at_ms, self.received_ms, trusted=message.clock_trusted)


def believed_ms(at_ms: int, received_ms: int, *, trusted: bool) -> int:
    """Return the time that a report is kept under.

    Args:
        at_ms: by its device's clock.
        received_ms: by ours; 0 where nobody looked.
        trusted: whether the device believes its clock.
    """
    if received_ms and (not trusted or at_ms > received_ms + _AHEAD_MS or at_ms < _BEFORE_ALL_MS):
        return received_ms
    return min(max(at_ms, _EARLIEST_MS), _LATEST_MS)


def parts_of(message: UpMessage, at_ms: int, how: Said) -> dict[str, Any]:
    """Return the parts of a report, as fields of a record."""
    if isinstance(message, ResultMessage):
        return {
            "camera": camera_of(message.camera),
            "labels": labels_of(_names(message.result)),
        }
    if isinstance(message, Event):
        row = EventRow(message.name, message.severity, message.camera, message.message, message.data)
        return {"event": row}
    if isinstance(message, Telemetry):
        said_ms = (message.at - _1970) // _MILLISECOND
        offset_ms = how.received_ms - said_ms if how.live and how.received_ms else None
        return {"samples": tuple(sample_row(sample, at_ms - said_ms, at_ms, offset_ms) for sample in message.samples)}
    return {}


def labels_of(names: Iterable[str]) -> str | None:
    """Return what was seen, each once, as `|person|car|`; None where nothing has a name."""
    found: dict[str, None] = {}
    for name in names:
        if len(found) == _LABELS:
            break
        found[_label(name[: _NAME_CHARACTERS + 1])] = None
    return f"|{'|'.join(found)}|" if found else None


# Devices have a few cameras, and models know a few dozen names, and say them all day long.
@lru_cache(1024)
def camera_of(name: str) -> str:
    """Return a camera's name as it is stored."""
    return plain_text(name, _NAME_CHARACTERS)


@lru_cache(1024)
def _label(name: str) -> str:
    return plain_text(name, _NAME_CHARACTERS).replace("|", "/")


def _names(result: dict[str, JsonValue]) -> Iterator[str]:
    kind = result.get("kind")
    if kind == "text":
        yield str(result.get("text"))
    objects = result.get("classes") if kind == "classification" else result.get("objects")
    for item in objects if isinstance(objects, list) else ():
        if isinstance(item, dict) and isinstance(label := item.get("label"), str):
            yield label
            if isinstance(then := item.get("then"), dict) and kind == "chain":
                yield from _names({k: v for k, v in then.items() if k != "objects"})
        if kind == "classification":
            # The first is what it is; the others are what it might have been.
            break
