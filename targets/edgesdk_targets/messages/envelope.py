"""What all messages share: schema, node, time, and, from the device, the place in its sequence.

`(node, epoch, seq)` names a message for ever: whoever stores messages ignores one that it has. Within a major
schema version fields are only added, so unknown fields are ignored when read; an unknown major version is
refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    field_validator,
)

from edgesdk_targets.late_model import LateModel

MAX_JSON_DEPTH = 16
MAX_SEQ = (1 << 63) - 1


def rfc3339(at: datetime) -> str:
    """Write a time in UTC with milliseconds, as `2026-01-31T12:00:00.000Z`."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def check_json(value: Mapping[str, Any] | Sequence[Any], depth: int = 0) -> None:
    """Raise ValueError if an object or list holds a number that JSON does not have, or nests beyond the limit."""
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"nests deeper than {MAX_JSON_DEPTH} levels")
    for item in value.values() if isinstance(value, dict) else value:
        # Most of a result is plain numbers; a call for each would double the time of reading one.
        if isinstance(item, float):
            if not math.isfinite(item):
                raise ValueError("holds NaN or infinity, which JSON does not have")
        elif isinstance(item, (dict, list, tuple)):
            check_json(item, depth + 1)


def _checked_object(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    check_json(value)
    return value


Timestamp = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ShortText = Annotated[str, Field(max_length=256)]
LongText = Annotated[str, Field(max_length=4096)]
Count = Annotated[int, Field(ge=0, le=MAX_SEQ)]
Counts = Annotated[dict[ShortText, Count], Field(max_length=64)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_checked_object)]


def schema_field(kind: str, major: int = 1) -> Any:
    """Declare the `schema` field of a message, for example `result/1`."""
    return Field(default=f"{kind}/{major}", alias="schema", description=f"Always {kind}/{major} in this version.")


class Part(LateModel):
    """A piece of a message."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


class Message(Part):
    """Anything said over MQTT.

    Attributes:
        schema_id: kind and major version; `schema` in JSON.
        node: the device that speaks or is spoken to, `{tenant}.{device}`.
        at: the sender's clock when it was said.
    """

    kind: ClassVar[str]
    major: ClassVar[int] = 1

    schema_id: str = ""
    node: NodeName
    at: Timestamp

    @field_validator("schema_id")
    @classmethod
    def _known_schema(cls, schema_id: str) -> str:
        kind, _, major = schema_id.partition("/")
        if kind != cls.kind:
            raise ValueError(f"is {schema_id[:80]!r}, but this channel speaks {cls.kind!r}")
        if major != str(cls.major):
            raise ValueError(f"is {schema_id[:80]!r}, but this version of edgesdk reads {cls.kind}/{cls.major}")
        return schema_id


class UpMessage(Message):
    """Anything a device says.

    Attributes:
        epoch: random, born with the device's queue of reports; sequence numbers count from 1 within it.
        seq: place in the epoch. Of retained messages (birth, state, reported), which stand outside the queue,
            it is the number that the next queued message will get.
        clock_trusted: whether the device believes its own clock: a board without a battery starts in 1970. Where it
            does not, the receiver's time is the better one; ages and rates are right all the same.
    """

    epoch: Token
    seq: Count
    clock_trusted: bool = True
