"""Pictures that a decoder finished by guessing, as packets were lost: what it fills in has no noise of its own.

- The last good row is repeated downwards (a smear), or
- the rest is one flat colour: grey (128 in all planes), or green (0 in all planes).

Either way each row is exactly the row above it, down to the lower edge, which no sensor ever delivers. Black and white
rows are not judged: films have bars, masks are black, and a white sky clips.
"""

from __future__ import annotations

from edgesdk_targets.tensor import Array

_BLACK, _WHITE = 24, 250


def has_filled_rows(rows: Array, part: float) -> bool:
    """Say whether the decoder made up at least `part` (0..1) of a picture, at its lower edge.

    Args:
        rows: (N, W) uint8 grey rows at even distances, from the top.
    """
    count = max(2, round(part * rows.shape[0]))
    last = rows[-1]
    # From the lower edge upwards: in a good picture the first comparison is the last.
    if any(not (rows[-number] == last).all() for number in range(2, count + 1)):
        return False
    return bool(last.max() > _BLACK and last.min() < _WHITE)
