"""Read a file that nobody vouches for: no more of it than such a file ever has, whatever lies there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from edgesdk_targets.errors import InputError

_PIECE_BYTES = 1 << 20


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
            raw = _up_to(stream, known, most_bytes) if known <= most_bytes else None
    except OSError as error:
        if absent is not None and isinstance(error, FileNotFoundError):
            raise InputError(f"{called} does not exist.", hint=absent) from error
        raise InputError(f"{called} cannot be read: {error.strerror or error}.", hint=hint) from error
    if raw is None or len(raw) > most_bytes:
        raise FileTooLarge(f"{called} is larger than {_in_words(most_bytes)}.", hint=larger)
    return raw


def _up_to(stream: BinaryIO, known: int, most_bytes: int) -> bytes:
    """Read all, or one byte more than the bound; what is asked for at once is allocated first, and so never the bound."""
    raw = stream.read(known + 1)
    if len(raw) <= known:
        return raw
    # It has grown, or does not say its size.
    pieces, left = [raw], most_bytes + 1 - len(raw)
    while left > 0 and (piece := stream.read(min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"
