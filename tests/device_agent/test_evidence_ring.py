"""The ring of encoded packets, and the transport stream that they are kept in."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_agent.evidence.encoded_stream import Packet, unit_types
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_agent.evidence.transport_stream import TransportStream
from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import InputError


def packet(at: float, *, key: bool = False, size: int = 1000) -> Packet:
    return Packet(b"\x00\x00\x00\x01\x65" + bytes(size), at, key, key)


def test_units_are_told_apart_by_codec() -> None:
    data = b"\x00\x00\x00\x01\x67abc\x00\x00\x01\x68d\x00\x00\x01\x65picture"
    assert unit_types(data, "h264") == {7, 8, 5}
    assert unit_types(b"\x00\x00\x01\x40\x01\x00\x00\x01\x26\x01", "h265") == {32, 19}
    assert unit_types(b"no start code", "h264") == set()


@pytest.mark.parametrize("size", [0, 1, 100, *range(140, 175), 182, 183, 184, 185, 1000, 65_536])
def test_a_stream_is_whole_packets_whose_counters_run_on(size: int) -> None:
    stream = TransportStream("h264")
    data = stream.tables() + stream.picture(bytes(size), 1.0, key=True) + stream.picture(bytes(size), 1.1, key=False)
    assert len(data) % 188 == 0
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    assert {one[0] for one in packets} == {0x47}
    video = [one for one in packets if ((one[1] & 0x1F) << 8 | one[2]) == 0x100]
    assert [one[3] & 15 for one in video] == [n & 15 for n in range(len(video))]
    carried = 0
    for one in video:
        adapted = one[3] & 0x20
        carried += 184 - (1 + one[4] if adapted else 0)
    # Each picture: 14 bytes of head, 6 of delimiter.
    assert carried == 2 * (size + 20)


def test_a_segment_begins_with_a_key_frame_and_what_is_old_or_too_much_goes(tmp_path: Path) -> None:
    ring = PacketRing(tmp_path, keep_s=3.0, segment_s=1.0, max_bytes=1 << 20)
    ring.connected("h264", b"")
    for step in range(80):
        ring.add(packet(step / 8, key=step % 4 == 2), needed_from=float("inf"))
    assert ring.counts()["before_key_frame"] == 2
    segments, gathered = ring.covering(8.0, 99.0)
    assert [one.began for one in segments] == [7.25, 8.25]
    assert gathered
    assert ring.span(8.0, 99.0) == (7.25, 9.875)
    assert len(list(tmp_path.iterdir())) <= 4
    assert ring.covering(0.0, 1.0) == ([], b"")
    small = PacketRing(tmp_path / "small", keep_s=1e6, segment_s=0.5, max_bytes=40_000)
    small.connected("h264", b"")
    for step in range(100):
        small.add(packet(step * 0.1, key=step % 5 == 0, size=3000), needed_from=float("inf"))
    assert sum(path.stat().st_size for path in (tmp_path / "small").iterdir()) <= 40_000
    assert small.counts()["over_quota"] > 5


def test_what_an_open_clip_needs_stays(tmp_path: Path) -> None:
    ring = PacketRing(tmp_path, keep_s=1.0, segment_s=0.5, max_bytes=1 << 20)
    ring.connected("h264", b"")
    for step in range(60):
        ring.add(packet(step * 0.1, key=step % 5 == 0), needed_from=0.7)
    assert ring.covering(0.7, 1.0)[0][0].began == pytest.approx(0.5)


def test_the_token_goes_to_one_server_only_and_encrypted() -> None:
    address = ServerAddress.parse("https://clips.example/files/?a=1")
    assert address.at("/files/9").path == "/files/9"
    assert address.at("https://clips.example/x").path == "/x"
    for location in (
        "https://other.example/x",
        "http://clips.example/x",
        "//other.example/x",
        "https://clips.example:81/",
    ):
        with pytest.raises(InputError):
            address.at(location)
    for text in ("http://clips.example/", "ftp://x/", "https://u:p@x/", "https://", "https://x:99999/", "https://x/ y"):
        with pytest.raises(InputError):
            ServerAddress.parse(text)
