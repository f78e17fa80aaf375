"""A size for a person who holds it against a limit."""

from __future__ import annotations


def size_in_digits(size_bytes: float) -> str:
    """Write a number of bytes with four digits: what misses a limit by little must not look like it."""
    if size_bytes < 1000:
        return f"{size_bytes:.4g} B"
    return f"{size_bytes / 1e6:.4g} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.4g} kB"
