"""Fetch a release chunk by chunk: each checked as it comes, a bad one refused at once, and never more bytes than promised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.update.fetch.part_file import PartFile
from edgesdk_agent.update.fetch.places import Place
from edgesdk_agent.update.fetch.reuse import copy_held
from edgesdk_agent.update.record import Release
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.errors import BadHash, FetchFailed
from edgesdk_targets.whole_file import free_bytes_checked

# A chunk that comes wrong once was damaged on its way; twice the same is no accident.
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a call brought, in bytes: `fetched` came from its place, what came twice counted twice; `reused` was here already."""

    fetched: int
    reused: int


def download(
    place: Place,
    release: Release,
    into: Path,
    *,
    held: Iterable[Path] = (),
    told: Callable[[int, int], None] | None = None,
) -> Downloaded:
    """Bring a release to `into`, whole and synced; what is there of an earlier call is kept.

    Args:
        held: files of this device that may hold some of it.
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
        free_bytes_checked(into, sum(chunks.span(number)[1] for number in part.missing))
        copy_held(part, chunks, held)
        reused, fetched = part.settle(), 0
        missing = part.missing
        there = chunks.size - sum(chunks.span(number)[1] for number in missing)
        for number in missing:
            came = _bring(place, chunks, number, part)
            fetched += came
            reused += max(chunks.span(number)[1] - came, 0)
            there += chunks.span(number)[1]
            if told is not None:
                told(there, chunks.size)
        part.finish()
    return Downloaded(fetched, reused)


def _bring(place: Place, chunks: ChunkList, number: int, part: PartFile) -> int:
    """Bring a chunk, and return how many bytes of it were fetched."""
    start, length = chunks.span(number)
    fetched = 0
    copied = part.copied(number)
    # What was copied may be wrong, as nobody signed the list: the second time all of it is fetched.
    for known in (copied, *[()] * (_TRIES - 1)):
        data, count = _filled(place, start, length, known)
        fetched += count
        if part.put(number, data):
            return fetched
    raise BadHash(f"Chunk {number} came twice and is not what its list says.", hint="Publish the bundle again.")


def _filled(place: Place, start: int, length: int, known: Sequence[tuple[int, bytes]]) -> tuple[bytes, int]:
    """Return a chunk with what is known of it in its places and the rest fetched, and how much that was."""
    data, fetched = b"", 0
    for at, run in (*known, (length, b"")):
        wanted = max(at - len(data), 0)
        data += _read(place, start + len(data), wanted)
        fetched += wanted
        data += run[len(data) - at :]
    return data, fetched


def _read(place: Place, start: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = place.read(start + len(data), length - len(data))
        if not more:
            raise FetchFailed("The download was cut off.", hint="It goes on where it was.")
        data += more[: length - len(data)]
    return data
