"""The segments of a package's file: each entry of its container with its header, by the sha256 of the bytes as they lie there.

Equal content under an equal name gives equal bytes, wherever in a file they lie. So a device that holds another bundle of the
same model holds most segments of a new one. Nothing that a segment says is believed: what is put together is checked by chunk.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Of a smaller one the request that it saves is not worth its line in the list.
LEAST_BYTES = 16 << 10
MOST_SEGMENTS = 2048
_BLOCK = 1 << 20


class Segment(BaseModel):
    """A run of bytes of a file.

    Attributes:
        start, size: bytes; sha256: of them, hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    start: int = Field(ge=0, le=1 << 40)
    size: int = Field(ge=1, le=1 << 40)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def end(self) -> int:
        return self.start + self.size


def segments_of(path: Path) -> tuple[Segment, ...]:
    """Return the larger segments of a file that was checked before; none of one that has no entries. Raises OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            starts = sorted(entry.header_offset for entry in archive.infolist())
            spans = list(pairwise((*starts, archive.start_dir)))
    except (zipfile.BadZipFile, zlib.error, ValueError):
        return ()
    large = [(start, end) for start, end in spans if end - start >= LEAST_BYTES][:MOST_SEGMENTS]
    with path.open("rb") as file:
        found = []
        for start, end in large:
            digest, left = hashlib.sha256(), end - start
            file.seek(start)
            while left and (block := file.read(min(_BLOCK, left))):
                digest.update(block)
                left -= len(block)
            found.append(Segment(start=start, size=end - start, sha256=digest.hexdigest()))
    return tuple(found)
