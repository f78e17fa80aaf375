"""One report as the outbox holds it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_targets.messages import DEFLATED, JSON, Encoded

# As written into the files: a higher number is dropped sooner.
KINDS = tuple(ReportKind)
KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
# What a row costs in the file beside its body.
ROW_OVERHEAD_BYTES = 52
_HEAD = struct.Struct("<qBBd")


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A numbered report.

    Attributes:
        put_at: the device's clock, seconds since 1970.
        born: monotonic seconds, of this run.
    """

    seq: int
    kind: ReportKind
    body: bytes
    deflated: bool
    put_at: float
    born: float = 0.0

    @property
    def size_bytes(self) -> int:
        return len(self.body) + ROW_OVERHEAD_BYTES

    @property
    def encoded(self) -> Encoded:
        return Encoded(self.body, DEFLATED if self.deflated else JSON)

    @property
    def checksum(self) -> int:
        """Of all that a row of the database holds: SQLite does not notice a bit that turns over within a value."""
        head = _HEAD.pack(self.seq, KIND_NUMBER[self.kind], self.deflated, self.put_at)
        return zlib.crc32(self.body, zlib.crc32(head))

    def is_sound(self, checksum: int | None) -> bool:
        """Tell whether it is what was written; without a checksum, as far as that can be told."""
        if checksum is not None:
            return isinstance(self.body, bytes) and checksum == self.checksum
        try:
            return not self.deflated or bool(zlib.decompress(self.body))
        except zlib.error:
            return False
