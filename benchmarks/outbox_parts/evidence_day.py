"""MB a day that evidence adds to a profile: the ring and the clips of the agent itself, fed faster than a camera could."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgesdk_agent.evidence.clip_camera import ClipCamera, ClipRequest
from edgesdk_agent.evidence.encoded_stream import Codec, Packet
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_agent.evidence.written_bytes import WrittenBytes

MEGABYTE = 1e6
FPS = 15
KEY_EACH_S = 2.0
PRE_S = POST_S = 5.0


class MadeStream:
    """A camera that sends so many bits a second, in simulated time; each so often somebody wants a clip of the moment."""

    codec: Codec = "h264"
    parameter_sets = b"\0\0\0\1\x67sets"

    def __init__(self, bits_per_s: int, seconds: int, clip_each_s: float) -> None:
        self._bytes = bits_per_s // 8 // FPS
        self._frames = seconds * FPS
        self._clip_each = int(clip_each_s * FPS)
        self._frame = 0
        self.camera: ClipCamera

    def read(self) -> Packet | None:
        if self._frame == self._frames:
            self.camera.request_stop()
            return None
        at, key = self._frame / FPS, self._frame % int(KEY_EACH_S * FPS) == 0
        if self._frame % self._clip_each == self._clip_each // 2:
            self.camera.ask(ClipRequest("gate", at - PRE_S, at + POST_S, wall_at=1.8e9 + at))
        self._frame += 1
        unit = b"\0\0\0\1" + (b"\x65" if key else b"\x41")
        return Packet(unit.ljust(self._bytes, b"x"), at, key, has_sets=False)

    def close(self) -> None:
        pass


def evidence_day(folder: Path, *, bits_per_s: int = 2_000_000, clips_a_day: int = 50) -> dict[str, object]:
    """Return MB a day that clips of ten seconds write and send, and what the ring writes to memory meanwhile."""
    seconds, clips = 360, 3
    written = WrittenBytes()
    stream = MadeStream(bits_per_s, seconds, seconds / clips)
    count = partial(written.add, in_memory=True)
    ring = PacketRing(folder / "ring", keep_s=16.0, segment_s=2.0, max_bytes=32 << 20, on_written=count)
    camera = ClipCamera("gate", lambda: stream, ring, folder / "clips", on_clip=_counted_by(written))
    stream.camera = camera
    camera.start()
    camera.join(60.0)
    camera.close()
    ring_bytes, disk_bytes = written.counts()["memory_bytes"], written.counts()["disk_bytes"]
    clips = camera.counts()["clips"]
    return {
        "profile": f"{bits_per_s / 1e6:g} Mbit/s, {clips_a_day} clips of {PRE_S + POST_S:g} s a day, each sent",
        "clips_written_mb_day": round(disk_bytes / clips * clips_a_day / MEGABYTE, 1),
        "clips_sent_mb_day": round(camera.counts()["clip_bytes"] / clips * clips_a_day / MEGABYTE, 1),
        "ring_in_memory_mb_day": round(ring_bytes / seconds * 86_400 / MEGABYTE),
    }


def _counted_by(written: WrittenBytes) -> Callable[[ClipRequest], None]:
    def on_clip(request: ClipRequest) -> None:
        if request.path is not None:
            written.add(request.path.stat().st_size)

    return on_clip
