"""One column of a table of reports: numbers or times as JSON writes them, as whole numbers, lowest byte first.

What does not come back word for word is kept as the words themselves: so nothing that a device says is changed by being packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# A report has at most so many digits behind the point; what has more is kept in words.
_MOST_DECIMALS: Final = 6
# Beyond it a float does not hold each whole number.
_EXACT: Final = 2.0**53
# Whole numbers are of 64 bits, with a sign.
_HALF: Final = 1 << 63

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """How the values of a column were turned into bytes.

    Attributes:
        form: `whole` numbers, numbers with `decimals`, or `time`s in milliseconds since 1970.
        decimals: a value is the whole number divided by so many tens.
        steps: each is told as what it adds to the one before.
        least: of the whole numbers, or of the steps; it is taken from each.
        width: bytes of each.
    """

    form: str
    decimals: int
    steps: bool
    least: int
    width: int

    def to_head(self) -> list[int | str]:
        return [self.form[0], self.decimals, int(self.steps), self.least, self.width]

    @staticmethod
    def from_head(head: Any) -> Column:
        """Read what `to_head` wrote.

        Raises:
            ValueError: it is nothing of the kind.
        """
        if not (isinstance(head, list) and len(head) == 5 and all(type(n) is int for n in head[1:])):
            raise ValueError("a column's head is none")
        form, decimals, steps, least, width = head
        if (
            form not in _FORMS
            or not 0 <= decimals <= _MOST_DECIMALS
            or not 0 <= width <= 8
            or not -_HALF <= least < _HALF
        ):
            raise ValueError("a column's head is out of bounds")
        return Column(_FORMS[form], decimals, bool(steps), least, width)


_FORMS: Final = {"w": "whole", "d": "decimal", "t": "time"}


def packed_column(words: Sequence[str]) -> tuple[Column, bytes] | None:
    """Return the values of a column as bytes, the lowest byte of each first; None where they must stay words."""
    found = _times(words) if words[0].endswith("Z") else _numbers(words)
    if found is None:
        return None
    form, decimals, values = found
    steps = np.diff(values, prepend=np.int64(0))
    # The first counts from nothing, and would make all of them wide.
    stepwise = bool(_bits(steps[1:]) < _bits(values[1:])) if len(values) > 1 else False
    chosen = steps if stepwise else values
    least = int(chosen[1:].min() if stepwise else chosen.min())
    if stepwise:
        chosen = chosen.copy()
        first, chosen[0] = int(chosen[0]), least
    rest = (chosen - np.int64(least)).view(np.uint64)
    width = (int(rest.max()).bit_length() + 7) // 8
    planes = rest.astype("<u8").view(np.uint8).reshape(-1, 8).T[:width].tobytes()
    if stepwise:
        planes = first.to_bytes(8, "little", signed=True) + planes
    return Column(form, decimals, stepwise, least, width), planes


def column_bytes(column: Column, count: int) -> int:
    """Return how many bytes hold so many values."""
    return column.width * count + 8 * column.steps


def unpacked_column(column: Column, count: int, body: bytes) -> list[str]:
    """Return the words that `packed_column` was given.

    Args:
        body: as long as `column_bytes` says.
    """
    first, planes = (int.from_bytes(body[:8], "little", signed=True), body[8:]) if column.steps else (0, body)
    wide = np.zeros((8, count), np.uint8)
    wide[: column.width] = np.frombuffer(planes, np.uint8).reshape(column.width, count)
    rest: Whole = np.ascontiguousarray(wide.T).view("<u8").reshape(count).astype(np.uint64).view(np.int64)
    values = rest + np.int64(column.least)
    if column.steps:
        values[0] = first
        values = np.cumsum(values, dtype=np.int64)
    return _words(column.form, column.decimals, values)


def _words(form: str, decimals: int, values: Whole) -> list[str]:
    if form == "time":
        return [f"{word}Z" for word in np.datetime_as_string(values.astype("datetime64[ms]"), unit="ms").tolist()]
    if form == "whole":
        return list(map(str, values.tolist()))
    return list(map(repr, (values / 10.0**decimals).tolist()))


def _times(words: Sequence[str]) -> tuple[str, int, Whole] | None:
    try:
        values = np.array([word[:-1] for word in words], "datetime64[ms]").view(np.int64)
    except ValueError:
        return None
    return ("time", 0, values) if _words("time", 0, values) == list(words) else None


def _numbers(words: Sequence[str]) -> tuple[str, int, Whole] | None:
    if "." not in words[0]:
        try:
            whole = list(map(int, words))
            values = np.array(whole, np.int64)
        except (ValueError, OverflowError):
            return None
        return ("whole", 0, values) if list(map(str, whole)) == list(words) else None
    try:
        floats = list(map(float, words))
    except ValueError:
        return None
    if list(map(repr, floats)) != list(words):
        return None
    numbers = np.array(floats, np.float64)
    # What has no sign in a whole number: the zero below zero.
    if bool((np.signbit(numbers) & (numbers == 0)).any()):
        return None
    for decimals in range(1, _MOST_DECIMALS + 1):
        tens = 10.0**decimals
        scaled = np.rint(numbers * tens)
        if float(np.abs(scaled).max()) >= _EXACT:
            return None
        if bool((scaled / tens == numbers).all()):
            return "decimal", decimals, scaled.astype(np.int64)
    return None


def _bits(values: Whole) -> float:
    """Return about how many bits the values take, each counted from the least of them."""
    spread = values.astype(np.float64)
    return float(np.log2(1.0 + (spread - spread.min())).sum())
