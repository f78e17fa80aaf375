"""The sha256 of every chunk of a bundle file: what lets a download be checked while it comes, and go on where it was cut off.

It lies beside the bundle, `NAME.edgebundle.chunks`, and is not signed: it says what to fetch, and what is fetched again. Whether
the whole is what its maker signed is proven afterwards, so a false list wastes a download and nothing else.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesdk_targets.agent_release.agent_release import Kind, kind_of
from edgesdk_targets.bundle.package import Package
from edgesdk_targets.bundle.segments import MOST_SEGMENTS, Segment, segments_of
from edgesdk_targets.card import NAME, VERSION
from edgesdk_targets.errors import BadBundle, InputError

CHUNKS_SUFFIX = ".chunks"
CHUNK_BYTES = 1 << 20
# A device holds a chunk in memory, whoever wrote the list.
MOST_CHUNK_BYTES = 4 << 20
MAX_LIST_BYTES = 1 << 20
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ChunkList(BaseModel):
    """The chunks of one file; all are of `chunk_bytes` but the last.

    Attributes:
        bundle: the digest of the bundle, `sha256:…` of its manifest.
        kind: a bundle, or a release of the agent's own program.
        name, version: of it; release: as it is signed, 0 where it is not.
        size: of the file, in bytes.
        segments: runs of bytes that a device may hold already in another file.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_id: Literal["chunks/1"] = Field(default="chunks/1", alias="schema")
    bundle: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    kind: Kind = "bundle"
    name: str = Field(pattern=NAME)
    version: str = Field(pattern=VERSION)
    release: int = Field(default=0, ge=0, lt=1 << 53)
    size: int = Field(gt=0, le=1 << 40)
    chunk_bytes: int = Field(default=CHUNK_BYTES, ge=1 << 10, le=MOST_CHUNK_BYTES)
    sha256: Annotated[tuple[_Digest, ...], Field(max_length=8192)]
    segments: Annotated[tuple[Segment, ...], Field(max_length=MOST_SEGMENTS)] = ()

    @model_validator(mode="after")
    def _complete(self) -> ChunkList:
        if len(self.sha256) != -(-self.size // self.chunk_bytes):
            raise ValueError("another number of chunks than the size asks for")
        if any(segment.end > self.size for segment in self.segments):
            raise ValueError("a segment beyond the end")
        return self

    def span(self, number: int) -> tuple[int, int]:
        """Return where a chunk begins, and its length."""
        start = number * self.chunk_bytes
        return start, min(self.chunk_bytes, self.size - start)

    def is_good(self, number: int, data: bytes | memoryview) -> bool:
        """Tell whether these are a chunk's bytes."""
        return len(data) == self.span(number)[1] and hashlib.sha256(data).hexdigest() == self.sha256[number]

    def to_bytes(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> ChunkList:
        """Read a list.

        Raises:
            BadBundle: it is too large, or none.
        """
        try:
            if len(data) > MAX_LIST_BYTES:
                raise ValueError("too large")
            return cls.model_validate_json(data)
        except (ValidationError, ValueError) as error:
            raise BadBundle("The list of chunks is none.", hint="Publish the bundle again.") from error


def chunks_of(bundle: Package, release: int = 0, chunk_bytes: int = CHUNK_BYTES) -> ChunkList:
    """Return the list of an opened bundle's file.

    Args:
        release: as its signature states it.

    Raises:
        InputError: it cannot be read, or is a folder.
    """
    found, size = [], 0
    try:
        with bundle.path.open("rb") as file:
            while chunk := file.read(chunk_bytes):
                found.append(hashlib.sha256(chunk).hexdigest())
                size += len(chunk)
        segments = segments_of(bundle.path)
    except OSError as error:
        raise InputError(f"{bundle.path} cannot be read: {error.strerror or error}.", hint="Give a file.") from error
    return ChunkList(
        bundle=bundle.digest, kind=kind_of(bundle), name=bundle.manifest.name, version=bundle.manifest.version, release=release,
        size=size, chunk_bytes=chunk_bytes, sha256=tuple(found), segments=segments,
    )  # fmt: skip
