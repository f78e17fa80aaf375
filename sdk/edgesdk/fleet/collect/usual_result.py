"""A result in the form in which nearly all come, read in a fifth of the time that its model takes.

This only ever takes what the models (`reading`) would take, and makes the same record of it: no other fields than these, a
detection without more in it than a box, times as our own agents write them. Everything else, and everything that is wrong, is
left to the models, whose verdict and words are the only ones.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Annotated, Literal, Union

import msgspec

from edgesdk.fleet.collect.report_parts import believed_ms, camera_of, labels_of
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import Kind, Record, Stream
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import JSON
from edgesdk_targets.messages.envelope import MAX_SEQ
from edgesdk_targets.messages.wire import MAX_PAYLOAD_BYTES
from edgesdk_targets.topics import Channel, Topic

_KIND = Kind.RESULT
_ENDS_IN = f"/{Channel.RESULT.value}"
# What a hostile device makes up is remembered for a while too, and must not take much room.
_SHORT_BYTES = 4096
_PLAIN = (JSON, "")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECOND = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})")
_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)
_THOUSANDTHS = {f".{ms:03d}Z": ms for ms in range(1000)}
# What a collector of ten thousand devices hears again and again.
_REMEMBERED = 1 << 16

_Short = Annotated[str, msgspec.Meta(max_length=256)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
_Number = Annotated[int, msgspec.Meta(ge=-MAX_SEQ, le=MAX_SEQ)]
# Whole numbers far beyond are none to the models.
_Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1 << 53)]


class _Part(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A field that is not known here might hold what a model refuses."""


class _Object(_Part):
    label: str
    score: float
    box: tuple[float, float, float, float]
    class_id: _Number = 0
    track_id: _Number = 0


class _Class(_Part):
    label: str
    score: float
    class_id: _Number = 0


class _Detections(_Part, tag_field="kind", tag="detections"):
    objects: list[_Object]


class _Classification(_Part, tag_field="kind", tag="classification"):
    classes: list[_Class]


class _Text(_Part, tag_field="kind", tag="text"):
    text: str
    confidence: float = 0.0


class _Bundle(_Part):
    name: _Short = ""
    version: _Short = ""
    digest: _Short = ""


class _Result(_Part):
    schema: Literal["result/1"]
    node: str
    at: str
    epoch: str
    seq: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
    camera: _Short
    frame: _Count
    captured_at: str
    age_ms: _Milliseconds
    result: Union[_Detections, _Classification, _Text]  # noqa: UP007  (Python 3.10 at run time)
    latency_ms: Annotated[dict[_Short, _Milliseconds], msgspec.Meta(max_length=32)] = msgspec.field(
        default_factory=dict
    )
    bundle: Union[_Bundle, msgspec.UnsetType] = msgspec.UNSET  # noqa: UP007
    clock_trusted: bool = True


_decode = msgspec.json.Decoder(_Result).decode


def read_usual_result(received: Received) -> Record | None:
    """Return the record of a result; None of everything of which it is not certain that it is one."""
    topic, payload, content_type, _, _, received_ms = received
    if not topic.endswith(_ENDS_IN) or content_type not in _PLAIN or len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        said = _decode(payload)
        if said.node != _node(topic):
            return None
        _milliseconds(said.captured_at)
        return Record(
            _stream(said.node, said.epoch),
            said.seq,
            _KIND,
            believed_ms(_milliseconds(said.at), received_ms, trusted=said.clock_trusted),
            payload.decode(),
            True,
            camera_of(said.camera),
            _labels(said.result) if len(payload) <= _SHORT_BYTES else labels_of(_names(said.result)),
        )
    # A text that is no UTF-8, a moment that there is none of: ValueErrors too.
    except (msgspec.MsgspecError, InputError, ValueError, LookupError, RecursionError):
        return None


def _names(result: _Detections | _Classification | _Text) -> list[str]:
    if isinstance(result, _Detections):
        return [one.label for one in result.objects]
    if isinstance(result, _Classification):
        # The first is what it is; the others are what it might have been.
        return [one.label for one in result.classes[:1]]
    return [result.text]


def _labels(result: _Detections | _Classification | _Text) -> str | None:
    return _joined(tuple(_names(result)))


# Cameras see much the same all day long.
@lru_cache(4096)
def _joined(names: tuple[str, ...]) -> str | None:
    return labels_of(names)


def _milliseconds(at: str) -> int:
    """Return a moment as agents write it, `2026-01-31T12:00:00.000Z`, in milliseconds since 1970."""
    return _second_ms(at[:19]) + _THOUSANDTHS[at[19:]]


@lru_cache(_REMEMBERED)
def _second_ms(text: str) -> int:
    found = _SECOND.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, found.groups())
    return (datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc) - _1970) // timedelta(milliseconds=1)


@lru_cache(_REMEMBERED)
def _node(topic: str) -> str:
    return str(Topic.parse(topic).node)


@lru_cache(_REMEMBERED)
def _stream(node: str, epoch: str) -> Stream:
    """Return one and the same value for each device: it is a key of all that is done with a record."""
    if not _TOKEN.fullmatch(epoch):
        raise ValueError(epoch)
    return Stream(node, epoch)
