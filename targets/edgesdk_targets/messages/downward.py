"""What is said to a device: what is stored, what is wanted, what to do."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from edgesdk_targets.messages.envelope import (
    Count,
    JsonObject,
    Message,
    Part,
    ShortText,
    Timestamp,
    Token,
    schema_field,
)


class SeqRange(Part):
    """Sequence numbers from `first` to `last`, both included."""

    first: Count
    last: Count

    @model_validator(mode="after")
    def _ordered(self) -> SeqRange:
        if self.last < self.first:
            raise ValueError("last is before first")
        return self


class Ack(Message):
    """What is stored for good, and what is missing; the device deletes only what it is told here.

    Attributes:
        epoch: of the numbers; a device ignores those of another epoch than its own.
        upto: every number up to and with it is stored, or was declared as gone by the device.
        have: ranges above `upto` that are stored too; the highest, where there are more than fit.
        want: ranges to be sent again now, and those that can not be, declared as gone.
        takes: content types in which a segment may come, beside the deflated one, which every collector takes.
    """

    kind: ClassVar[str] = "ack"
    schema_id: str = schema_field("ack")
    epoch: Token
    upto: Count
    have: Annotated[tuple[SeqRange, ...], Field(max_length=256)] = ()
    want: Annotated[tuple[SeqRange, ...], Field(max_length=256)] = ()
    takes: Annotated[tuple[ShortText, ...], Field(max_length=16)] = ()


class Desired(Message):
    """What the device shall become; retained. A higher `version` replaces a lower one."""

    kind: ClassVar[str] = "desired"
    schema_id: str = schema_field("desired")
    version: Count
    state: JsonObject = Field(default_factory=dict)


class Command(Message):
    """Something to do once; a second command of the same `id` is the same command."""

    kind: ClassVar[str] = "cmd"
    schema_id: str = schema_field("cmd")
    id: Token
    verb: ShortText
    arguments: JsonObject = Field(default_factory=dict)
    deadline: Timestamp
