"""The last seconds of a camera's video in files, in segments that each begin with a key frame.

A segment is gathered in memory and written in one piece when the next one begins: a card sees a few large writes, and a
file is whole or not there. What is older than anybody can ask for is deleted, and above the quota the oldest goes. A
restart begins with an empty ring.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.evidence.encoded_stream import Codec, Packet
from edgesdk_agent.evidence.transport_stream import TransportStream
from edgesdk_targets.whole_file import disk_errors

# A camera whose key frames are further apart than this fills memory.
_LARGEST_SEGMENT = 32 << 20


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of video: where it lies, from when to when it was received (monotonic seconds), and its bytes."""

    path: Path
    began: float
    ended: float
    size: int


class PacketRing:
    """One camera's ring; used by one thread.

    Args:
        folder: of this camera's alone; what lies in it from before is deleted.
        keep_s: how long a segment can be asked for.
        segment_s: how long one is at least; it ends with the next key frame.
        max_bytes: of its files.
        on_written: is told the bytes of each segment that is written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_s: float,
        segment_s: float,
        max_bytes: int,
        on_written: Callable[[int], object] | None = None,
    ) -> None:
        self._folder = folder
        self._keep_s = keep_s
        self._segment_s = segment_s
        self._max_bytes = max_bytes
        self._on_written = on_written
        self._segments: deque[Segment] = deque()
        self._stream: TransportStream | None = None
        self._sets = b""
        self._current = bytearray()
        self._began = self._ended = 0.0
        self._number = 0
        self._counts = {"packets": 0, "before_key_frame": 0, "segments": 0, "written_bytes": 0, "over_quota": 0}
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in (*folder.glob("ring-*.ts"), *folder.glob("ring-*.part")):
                path.unlink(missing_ok=True)

    def connected(self, codec: Codec, parameter_sets: bytes) -> None:
        """Begin with a new connection: what comes next does not continue what came before."""
        self.cut()
        self._stream = TransportStream(codec)
        self._sets = parameter_sets

    def add(self, packet: Packet, needed_from: float) -> None:
        """Take a packet.

        Args:
            needed_from: what was received since then must stay, monotonic seconds.

        Raises:
            NoSpace: the disk is full.
            InputError: the folder cannot be written.
        """
        assert self._stream is not None  # noqa: S101  (connected before)
        self._counts["packets"] += 1
        too_long = len(self._current) > _LARGEST_SEGMENT
        if packet.key and (not self._current or packet.at - self._began >= self._segment_s or too_long):
            self.cut()
            self._began = packet.at
            self._current += self._stream.tables()
        elif not self._current or too_long:
            self._counts["before_key_frame"] += 1
            return
        data = packet.data if packet.has_sets or not packet.key else self._sets + packet.data
        self._current += self._stream.picture(data, packet.at, key=packet.key)
        self._ended = packet.at
        self._forget(min(needed_from, packet.at - self._keep_s))

    def cut(self) -> None:
        """Write what was gathered as a segment.

        Raises:
            NoSpace: the disk is full.
            InputError: the folder cannot be written.
        """
        if not self._current:
            return
        self._number += 1
        path = self._folder / f"ring-{self._number:08}.ts"
        size, content = len(self._current), bytes(self._current)
        # However the disk answers, what comes next begins anew.
        self._current = bytearray()
        with disk_errors(path):
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)
        self._segments.append(Segment(path, self._began, self._ended, size))
        self._counts["segments"] += 1
        self._counts["written_bytes"] += size
        if self._on_written is not None:
            self._on_written(size)

    def covering(self, since: float, until: float) -> tuple[list[Segment], bytes]:
        """Return the segments that hold what was received in a time, and what of it is still in memory."""
        found = [one for one in self._segments if one.ended >= since and one.began <= until]
        gathered = bytes(self._current) if self._current and self._ended >= since and self._began <= until else b""
        return found, gathered

    def span(self, since: float, until: float) -> tuple[float, float]:
        """Return when what `covering` returns begins and ends."""
        found = [(one.began, one.ended) for one in self._segments if one.ended >= since and one.began <= until]
        if self._current and self._ended >= since and self._began <= until:
            found.append((self._began, self._ended))
        return (found[0][0], found[-1][1]) if found else (float("inf"), float("-inf"))

    def clear(self) -> None:
        """Delete everything."""
        self._current = bytearray()
        while self._segments:
            self._segments.popleft().path.unlink(missing_ok=True)

    def counts(self) -> Mapping[str, int]:
        """Return packets, segments and bytes written, and what was left out or deleted for room."""
        return dict(self._counts)

    def _forget(self, before: float) -> None:
        while self._segments and self._segments[0].ended < before:
            self._segments.popleft().path.unlink(missing_ok=True)
        while self._segments and sum(one.size for one in self._segments) > self._max_bytes:
            self._counts["over_quota"] += 1
            self._segments.popleft().path.unlink(missing_ok=True)
