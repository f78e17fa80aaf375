"""A size for a person who holds it against a limit."""

from __future__ import annotations

_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def size_in_digits(size_bytes: float) -> str:
    """Write a number of bytes with four digits: what misses a limit by little must not look like it."""
    # Rounded first: what rounds to the next unit is written in it.
    rounded = float(f"{size_bytes:.4g}")
    for unit, size in _UNITS:
        if rounded >= size:
            return f"{rounded / size:.4g} {unit}"
    return f"{rounded:.4g} B"
