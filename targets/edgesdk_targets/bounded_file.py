"""Read a file that nobody vouches for: no more of it than such a file ever has, whatever lies there."""

from __future__ import annotations

import os
from pathlib import Path

from edgesdk_targets.errors import InputError


class FileTooLarge(InputError):
    """A file has more bytes than what it is taken for ever has."""


def read_bounded(
    path: Path,
    most_bytes: int,
    *,
    name: str = "",
    hint: str = "Check the path.",
    absent: str | None = None,
    larger: str = "Give a smaller one.",
) -> bytes:
    """Return a file's content.

    Args:
        name: what messages call it; its path unless given.
        hint: what to do about one that cannot be read.
        absent: what to do where there is none, which is then said in these words; `hint` unless given.
        larger: what to do about one that is too large.

    Raises:
        FileTooLarge: it has more than `most_bytes`; a device that goes on without end, too.
        InputError: it is not there, or cannot be read.
    """
    called = name or str(path)
    try:
        with path.open("rb") as stream:
            # What says its size is not read for nothing.
            known = os.fstat(stream.fileno()).st_size
            raw = stream.read(most_bytes + 1) if known <= most_bytes else None
    except OSError as error:
        if absent is not None and isinstance(error, FileNotFoundError):
            raise InputError(f"{called} does not exist.", hint=absent) from error
        raise InputError(f"{called} cannot be read: {error.strerror or error}.", hint=hint) from error
    if raw is None or len(raw) > most_bytes:
        raise FileTooLarge(f"{called} is larger than {_in_words(most_bytes)}.", hint=larger)
    return raw


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"
