"""The reports that are not in the database yet, appended to a file as they come and never synced.

The system's page cache outlives a killed process, so nothing that was put is lost with it; the file begins anew at each
commit, mostly before any of it is written to the card. After a power cut it holds anything: each frame is checked, and the
first wrong one ends it. A frame without a report, the mark, says which numbers were given: those whose reports a collector had
at once are nowhere else.

Two files take turns: the new one is whole before the old one is emptied, so a kill between finds one of them, or both. A
new name for each would do that too, and would make the file system write its folder and the file to the card each time.
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
        self._paths = _both(path)
        self._seed = zlib.crc32(epoch.encode())
        # The one that is appended to, and the one whose turn is next.
        self._file = self._next = -1
        self.written_bytes = 0
        self.size_bytes = 0

    @property
    def usable(self) -> bool:
        return self._file >= 0

    def read(self) -> tuple[list[StoredReport], int | None]:
        """Return what an earlier process put, by number, and the highest number it marked; None where no mark is left."""
        reports: dict[int, StoredReport] = {}
        marks: list[int] = []
        for path in self._paths:
            with contextlib.suppress(OSError):
                self._read(path.read_bytes(), reports, marks)
        return [reports[seq] for seq in sorted(reports)], max(marks, default=None)

    def _read(self, data: bytes, reports: dict[int, StoredReport], marks: list[int]) -> None:
        """Read one file up to the first frame that is not whole."""
        at = 0
        while at + _HEAD.size <= len(data):
            crc, length, seq, kind, deflated, put_at = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + length
            if length > _MAX_BODY_BYTES or end > len(data) or not (kind < len(KINDS) or kind == _MARK):
                break
            if zlib.crc32(data[at + 4 : end], self._seed) != crc:
                break
            if kind == _MARK:
                marks.append(seq)
            else:
                reports[seq] = StoredReport(seq, KINDS[kind], data[at + _HEAD.size : end], bool(deflated), put_at)
            at = end

    def write(self, report: StoredReport) -> None:
        """Append one report."""
        if self._file < 0:
            return
        size = self._write(
            self._file, report.seq, KIND_NUMBER[report.kind], report.deflated, report.put_at, report.body
        )
        self.size_bytes += size
        if not size:
            # A file with a hole would promise what it does not hold: better none, until the next commit.
            self._give_up()

    def _write(self, file: int, seq: int, kind: int, deflated: bool, put_at: float, body: bytes) -> int:
        """Append a frame to a file; return its size, 0 where it is not written whole."""
        head = _HEAD.pack(0, len(body), seq, kind, deflated, put_at)
        crc = zlib.crc32(body, zlib.crc32(memoryview(head)[4:], self._seed))
        frame = crc.to_bytes(4, "little") + head[4:] + body
        try:
            complete = os.write(file, frame) == len(frame)
        except OSError:
            complete = False
        if not complete:
            return 0
        self.written_bytes += len(frame)
        return len(frame)

    def rewrite(self, reports: Iterable[StoredReport], given: int) -> None:
        """Begin anew with these alone: the others are in the database, or with the collector.

        Args:
            given: the highest number that any report has.
        """
        kept = list(reports)
        try:
            if self._file < 0:
                self._open()
            if not self._take_turns(kept, given):
                # No room for two of them: then in place, at the risk of a kill in this moment.
                os.ftruncate(self._file, 0)
                if not self._fill(self._file, kept, given):
                    self._give_up()
        except OSError:
            self._give_up()

    def close(self) -> None:
        for file in (self._file, self._next):
            if file >= 0:
                os.close(file)
        self._file = self._next = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self._paths[0], flags, 0o600)
        self._next = os.open(self._paths[1], flags, 0o600)

    def _take_turns(self, reports: list[StoredReport], given: int) -> bool:
        """Write the other file, then empty this one; False where the other cannot be written, which is empty then."""
        os.ftruncate(self._next, 0)
        if not self._fill(self._next, reports, given):
            os.ftruncate(self._next, 0)
            return False
        os.ftruncate(self._file, 0)
        self._file, self._next = self._next, self._file
        return True

    def _fill(self, file: int, reports: list[StoredReport], given: int) -> bool:
        written = self._write(file, given, _MARK, False, 0.0, b"")
        self.size_bytes = written
        for report in reports:
            if not written:
                return False
            written = self._write(
                file, report.seq, KIND_NUMBER[report.kind], report.deflated, report.put_at, report.body
            )
            self.size_bytes += written
        return bool(written)

    def _give_up(self) -> None:
        self.close()
        remove_recent(self._paths[0])


def remove_recent(path: Path) -> None:
    """Remove the files of a path."""
    for file in _both(path):
        with contextlib.suppress(OSError):
            file.unlink()


def _both(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.stem}.next{path.suffix}")
