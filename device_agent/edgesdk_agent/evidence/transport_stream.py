"""Encoded pictures as an MPEG transport stream (ISO/IEC 13818-1): what any player opens, from any point at which it was cut.

Nothing refers to what comes later, so that a file that was cut off by a crash plays to where it ends, and files that
follow one another are joined by copying their bytes. Packets are 188 bytes; each carries its table or picture part.
"""

from __future__ import annotations

from edgesdk_agent.evidence.encoded_stream import Codec

_PACKET = 188
_PAYLOAD = _PACKET - 4
_TABLES, _PROGRAM, _VIDEO = 0x0000, 0x1000, 0x0100
_STREAM_TYPE: dict[Codec, int] = {"h264": 0x1B, "h265": 0x24}
# A picture's end and the next one's beginning are only certain with a delimiter between them.
_DELIMITER: dict[Codec, bytes] = {"h264": b"\x00\x00\x00\x01\x09\xf0", "h265": b"\x00\x00\x00\x01\x46\x01\x50"}
_TICKS_S = 90_000
# Clocks run this far ahead of the pictures, so that there is time to decode them.
_LEAD = _TICKS_S // 2


class TransportStream:
    """Write pictures as a transport stream; one for each connection, so that counters run on from file to file."""

    def __init__(self, codec: Codec) -> None:
        self._codec: Codec = codec
        self._counters = {_TABLES: 0, _PROGRAM: 0, _VIDEO: 0}

    def tables(self) -> bytes:
        """Return what a player has to read first: which programme there is, and what it is made of."""
        programme = b"\x00\x01" + (0xE000 | _PROGRAM).to_bytes(2, "big")
        stream = bytes([_STREAM_TYPE[self._codec]]) + (0xE000 | _VIDEO).to_bytes(2, "big") + b"\xf0\x00"
        clock = (0xE000 | _VIDEO).to_bytes(2, "big") + b"\xf0\x00"
        return self._table(_TABLES, 0x00, programme) + self._table(_PROGRAM, 0x02, clock + stream)

    def picture(self, data: bytes, at_s: float, *, key: bool) -> bytes:
        """Return one encoded picture with start codes as packets.

        Args:
            at_s: when it is shown, seconds from any beginning, not before that of the picture before.
            key: whether decoding can begin with it.
        """
        shown = round(at_s * _TICKS_S) + _LEAD
        head = b"\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + _stamp(shown) + _DELIMITER[self._codec]
        rest = memoryview(head + data)
        clock = _clock(shown - _LEAD)
        packets = [self._video(rest, start=True, flags=0x50 if key else 0x10, clock=clock)]
        at = len(packets[0][1])
        while at < len(rest):
            packets.append(self._video(rest[at:], start=False, flags=0, clock=b""))
            at += len(packets[-1][1])
        return b"".join(part for packet in packets for part in packet)

    def _video(self, rest: memoryview, *, start: bool, flags: int, clock: bytes) -> tuple[bytes, memoryview]:
        """Return the next packet's head and what it carries."""
        field = bytes([flags]) + clock if flags else b""
        room = _PAYLOAD - (1 + len(field) if field else 0)
        missing = room - len(rest)
        if missing > 0:
            # The last packet is filled up in front, by a longer adaptation field.
            if not field:
                field, missing = (b"", missing - 1) if missing == 1 else (b"\x00", missing - 2)
                adaptation = bytes([len(field) + missing]) + field + b"\xff" * missing
            else:
                adaptation = bytes([len(field) + missing]) + field + b"\xff" * missing
            carried = rest
        else:
            adaptation = bytes([len(field)]) + field if field else b""
            carried = rest[:room]
        return self._head(_VIDEO, start=start, adapted=bool(adaptation)) + adaptation, carried

    def _head(self, pid: int, *, start: bool, adapted: bool) -> bytes:
        count = self._counters[pid]
        self._counters[pid] = (count + 1) & 15
        return bytes([0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, (0x30 if adapted else 0x10) | count])

    def _table(self, pid: int, table: int, body: bytes) -> bytes:
        section = b"\x00\x01\xc1\x00\x00" + body
        section = bytes([table]) + (0xB000 | len(section) + 4).to_bytes(2, "big") + section
        section += _checksum(section).to_bytes(4, "big")
        packet = self._head(pid, start=True, adapted=False) + b"\x00" + section
        return packet + b"\xff" * (_PACKET - len(packet))


def _stamp(ticks: int) -> bytes:
    """Return a presentation time of 33 bits, in the five bytes that it takes with its marker bits."""
    ticks &= (1 << 33) - 1
    return bytes([
        0x21 | (ticks >> 29 & 0x0E), ticks >> 22 & 0xFF, 0x01 | (ticks >> 14 & 0xFE), ticks >> 7 & 0xFF, 0x01 | (ticks << 1 & 0xFE),
    ])  # fmt: skip


def _clock(ticks: int) -> bytes:
    """Return the programme's clock in six bytes."""
    ticks &= (1 << 33) - 1
    return (ticks << 15 | 0x7E00).to_bytes(6, "big")


def _checksum(data: bytes) -> int:
    """Return the CRC-32 of MPEG-2: not reflected, as zlib's is."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if value & 0x80000000 else value << 1
    return value
