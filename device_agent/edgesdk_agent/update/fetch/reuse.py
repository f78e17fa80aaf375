"""What this device holds already of a release: segments of the bundles in its slots, copied and not fetched."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from edgesdk_agent.update.fetch.part_file import PartFile
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.bundle.segments import Segment, segments_of

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


def copy_held(part: PartFile, chunks: ChunkList, held: Iterable[Path]) -> None:
    """Copy into a part file what the device's own files hold of it; whether it is right its chunks tell.

    Args:
        held: files of this device, such as the bundles of its slots; one that cannot be read gives nothing.

    Raises:
        NoSpace, InputError: the disk does not take it.
    """
    wanted: dict[tuple[str, int], list[Segment]] = {}
    for segment in chunks.segments:
        if part.lacks(segment.start, segment.end):
            wanted.setdefault((segment.sha256, segment.size), []).append(segment)
    for path in held:
        if not wanted:
            return
        try:
            with path.open("rb") as file:
                for own in segments_of(path):
                    for segment in wanted.pop((own.sha256, own.size), ()):
                        _copy(file.fileno(), own.start, part, segment)
        except OSError as error:
            log.info("update: nothing is copied out of %s: %s", path, error)


def _copy(handle: int, start: int, part: PartFile, segment: Segment) -> None:
    done = 0
    while done < segment.size and (block := os.pread(handle, min(_BLOCK, segment.size - done), start + done)):
        part.copy_in(segment.start + done, block)
        done += len(block)
