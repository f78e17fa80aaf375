"""What a device will never send: the body of the event named `gap`.

A sequence number that does not come is either on its way or gone. A gap says which are gone, why, and how many reports
that were, so that whoever stores messages can count a known loss and go on instead of waiting for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError, model_validator

from edgesdk_targets.errors import InputError
from edgesdk_targets.messages.downward import SeqRange
from edgesdk_targets.messages.envelope import Count, Part, ShortText
from edgesdk_targets.messages.upward import Event

GAP_EVENT = "gap"
# So many ranges fit into one message with room to spare; a longer ledger is told in several.
MAX_GAP_RANGES = 1000


class GapCause(str, Enum):
    """Why numbers are gone.

    Attributes:
        BUDGET: the outbox was full, and something newer or more precious took the room.
        EXPIRED: older than the outbox keeps.
        REFUSED: the broker never takes them, for example as too large.
        DAMAGED: the outbox's file could not be read any more; each number was a report, of a kind that nobody knows.
        CRASH: lost or never used: numbers set aside when the device lost its power. At most the reports of the last
            sync interval were in them, and those that had been sent before may have arrived.
        SETTLED: acknowledged before, by this or another collector, and therefore deleted: not a loss of the device.
    """

    BUDGET = "budget"
    EXPIRED = "expired"
    REFUSED = "refused"
    DAMAGED = "damaged"
    CRASH = "crash"
    SETTLED = "settled"

    @property
    def exact(self) -> bool:
        """Whether every number stands for one report that is lost."""
        return self not in (GapCause.CRASH, GapCause.SETTLED)

    @property
    def by_kind(self) -> bool:
        """Whether the lost reports are counted by kind."""
        return self.exact and self is not GapCause.DAMAGED


ReportKindName = Literal["event", "result", "telemetry"]


class GapRange(SeqRange):
    """Numbers from `first` to `last` of which none is kept any more.

    Attributes:
        reports: how many reports of each kind those were; empty where `cause` says that nobody knows.
    """

    cause: GapCause
    reports: Annotated[dict[ReportKindName, Count], Field(max_length=3)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _counted(self) -> GapRange:
        numbers = self.last - self.first + 1
        if self.cause.by_kind and sum(self.reports.values()) != numbers:
            raise ValueError(f"counts {sum(self.reports.values())} reports for {numbers} numbers")
        if not self.cause.by_kind and self.reports:
            raise ValueError(f"a gap of cause {self.cause.value!r} counts no reports")
        return self


class Gap(Part):
    """Ranges that do not overlap, lowest first."""

    kind: ClassVar[str] = "gap"
    major: ClassVar[int] = 1
    ranges: Annotated[tuple[GapRange, ...], Field(min_length=1, max_length=MAX_GAP_RANGES)]

    @model_validator(mode="after")
    def _apart(self) -> Gap:
        for earlier, later in itertools.pairwise(self.ranges):
            if later.first <= earlier.last:
                raise ValueError("ranges overlap, or are not in order")
        return self

    @classmethod
    def of(cls, ranges: Iterable[GapRange]) -> Gap:
        """Return the gap with these ranges, sorted."""
        return cls(ranges=tuple(sorted(ranges, key=lambda r: r.first)))

    @property
    def lost(self) -> Mapping[str, int]:
        """Reports lost for certain, by kind."""
        totals: dict[str, int] = {}
        for part in self.ranges:
            for kind, count in part.reports.items():
                totals[kind] = totals.get(kind, 0) + count
        return totals

    def to_data(self) -> dict[str, JsonValue]:
        """Return the `data` of the event that tells it."""
        return self.model_dump(mode="json")

    def in_words(self) -> ShortText:
        """Return one sentence for people."""
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(self.lost.items()))
        causes = ", ".join(sorted({part.cause.value for part in self.ranges}))
        return f"Will never come ({causes}): {told or 'numbers without a known report'}."


_GAP = TypeAdapter(Gap)


def gap_of(event: Event) -> Gap | None:
    """Return the gap that an event tells, None where it is another event.

    Raises:
        InputError: it calls itself a gap, and is none.
    """
    if event.name != GAP_EVENT:
        return None
    try:
        return _GAP.validate_python(event.data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InputError(
            f"A gap of {event.node}: field data.{where}: {first['msg']}.", hint="See the JSON Schema of gap/1."
        ) from error
