"""The reports that are not in the database yet, appended to a file as they come and never synced.

The system's page cache outlives a killed process, so nothing that was put is lost with it; the file is cut at each
commit, mostly before any of it is written to the card. After a power cut it holds anything: each frame is checked, and the
first wrong one ends it. A frame without a report, the mark, says which numbers were given: those whose reports a collector had
at once are nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from edgesdk_agent.outbox.stored_report import KIND_NUMBER, KINDS, StoredReport

# Checksum of all that follows and of the epoch; length of the body; number; kind; deflated; put at.
_HEAD = struct.Struct("<IIQBBd")
_MAX_BODY_BYTES = 1 << 20
_MARK = 255


class RecentFile:
    """Appends reports; `write` and `rewrite` never raise, `usable` tells whether all that was put is in it."""

    def __init__(self, path: Path, epoch: str) -> None:
        self._path = path
        self._seed = zlib.crc32(epoch.encode())
        self._file = -1
        self.written_bytes = 0
        self.size_bytes = 0

    @property
    def usable(self) -> bool:
        return self._file >= 0

    def read(self) -> tuple[list[StoredReport], int]:
        """Return what an earlier process put, up to the first frame that is not whole, and the highest number it marked."""
        reports: list[StoredReport] = []
        given = at = 0
        try:
            data = self._path.read_bytes()
        except OSError:
            return reports, given
        while at + _HEAD.size <= len(data):
            crc, length, seq, kind, deflated, put_at = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + length
            if length > _MAX_BODY_BYTES or end > len(data) or not (kind < len(KINDS) or kind == _MARK):
                break
            if zlib.crc32(data[at + 4 : end], self._seed) != crc:
                break
            if kind == _MARK:
                given = max(given, seq)
            else:
                reports.append(StoredReport(seq, KINDS[kind], data[at + _HEAD.size : end], bool(deflated), put_at))
            at = end
        return reports, given

    def write(self, report: StoredReport) -> None:
        """Append one report."""
        self._append(report.seq, KIND_NUMBER[report.kind], report.deflated, report.put_at, report.body)

    def _append(self, seq: int, kind: int, deflated: bool, put_at: float, body: bytes) -> None:
        if self._file < 0:
            return
        head = _HEAD.pack(0, len(body), seq, kind, deflated, put_at)
        crc = zlib.crc32(body, zlib.crc32(memoryview(head)[4:], self._seed))
        frame = crc.to_bytes(4, "little") + head[4:] + body
        try:
            complete = os.write(self._file, frame) == len(frame)
        except OSError:
            complete = False
        if complete:
            self.written_bytes += len(frame)
            self.size_bytes += len(frame)
        else:
            # A file with a hole would promise what it does not hold: better none, until the next commit.
            self._give_up()

    def rewrite(self, reports: Iterable[StoredReport], given: int) -> None:
        """Begin anew with these alone: the others are in the database, or with the collector.

        Args:
            given: the highest number that any report has.
        """
        try:
            if self._file < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
                self._file = os.open(self._path, flags, 0o600)
            os.ftruncate(self._file, 0)
        except OSError:
            self._give_up()
        self.size_bytes = 0
        self._append(given, _MARK, False, 0.0, b"")
        for report in reports:
            self.write(report)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _give_up(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()
