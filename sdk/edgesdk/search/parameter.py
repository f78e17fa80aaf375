"""A parameter of a search: a choice, or a range of numbers."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scalar = bool | int | float | str


class Frozen(BaseModel):
    """What a space says, as it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(Frozen):
    """One of several values."""

    choice: tuple[Scalar, ...] = Field(min_length=1)

    @property
    def count(self) -> int:
        return len(self.choice)

    @property
    def values(self) -> tuple[Scalar, ...]:
        return self.choice

    def at(self, place: int) -> Scalar:
        return self.choice[place]

    def holds(self, value: Scalar) -> bool:
        return value in self.choice


class Range(Frozen):
    """A number between two ends, both included; whole where both ends are.

    Attributes:
        step: only `low`, `low + step`, …
        log: the logarithm is drawn evenly, for what spans powers of ten.
    """

    low: int | float
    high: int | float
    step: int | float | None = Field(default=None, gt=0)
    log: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range lies above 0 and has no step")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def spacing(self) -> int | float | None:
        """How far a value lies from the next; None where it may lie anywhere."""
        return self.step or (1 if self.whole else None)

    @property
    def count(self) -> int:
        """How many values there are; 0 where they cannot be counted."""
        if self.spacing is None or self.log:
            return 0
        return math.floor((self.high - self.low) / self.spacing + 1e-9) + 1

    @property
    def values(self) -> tuple[Scalar, ...]:
        """Every value there is; none where they cannot be counted."""
        return tuple(self.at(place) for place in range(self.count))

    def at(self, place: int) -> Scalar:
        """Return one of the values that can be counted."""
        return self.low + place * (self.spacing or 0)

    def holds(self, value: Scalar) -> bool:
        if isinstance(value, (bool, str)) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.spacing if self.spacing is not None else 0.0
        return abs(steps - round(steps)) < 1e-6
