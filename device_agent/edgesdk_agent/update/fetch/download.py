"""Fetch a release chunk by chunk: each checked as it comes, a bad one refused at once, and never more bytes than promised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.update.fetch.part_file import PartFile
from edgesdk_agent.update.fetch.places import Place
from edgesdk_agent.update.record import Release
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.errors import BadHash, FetchFailed
from edgesdk_targets.whole_file import free_bytes_checked

# A chunk that comes wrong once was damaged on its way; twice the same is no accident.
_TRIES = 2


def download(place: Place, release: Release, into: Path, *, told: Callable[[int, int], None] | None = None) -> None:
    """Bring a release to `into`, whole and synced; what is there of an earlier call is kept.

    Args:
        told: after each chunk, how many bytes are there and how many there will be.

    Raises:
        BadHash: what the server has is not what was promised.
        FetchFailed: it does not come now; what came stays.
        NoSpace, InputError: the disk does not take it.
    """
    chunks = ChunkList.from_bytes(place.chunk_list())
    if (chunks.bundle, chunks.size) != (release.id, release.size):
        raise BadHash(
            f"The server has {chunks.size} bytes of {chunks.bundle[:19]}…, and {release.size} of {release.id[:19]}… were "
            "promised.",
            hint="Publish the bundle again, or offer the one that is there.",
        )
    with PartFile(into, chunks) as part:
        missing = part.missing
        free_bytes_checked(into, sum(chunks.span(number)[1] for number in missing))
        there = chunks.size - sum(chunks.span(number)[1] for number in missing)
        for number in missing:
            _bring(place, chunks, number, part)
            there += chunks.span(number)[1]
            if told is not None:
                told(there, chunks.size)
        part.finish()


def _bring(place: Place, chunks: ChunkList, number: int, part: PartFile) -> None:
    start, length = chunks.span(number)
    for _ in range(_TRIES):
        data = b""
        while len(data) < length:
            more = place.read(start + len(data), length - len(data))
            if not more:
                raise FetchFailed("The download was cut off.", hint="It goes on where it was.")
            data += more[: length - len(data)]
        if part.put(number, data):
            return
    raise BadHash(f"Chunk {number} came twice and is not what its list says.", hint="Publish the bundle again.")
