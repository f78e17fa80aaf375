"""Clips of one camera: a thread that reads its encoded stream into the ring, and cuts out what was asked for.

A clip begins with the key frame at or before its first moment, and ends with its last. When the stream is lost meanwhile,
the clip holds what there is, and says so. It is written beside its name first, so that it is there whole or not at all.

A decoder's library that hangs cannot be interrupted, so nothing but reading depends on the thread that reads: whoever closes
writes the clips that are open, and waits for that thread only as long as he likes.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.evidence.encoded_stream import PacketSource
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.whole_file import OWNER_ONLY, replacing, write_all

log = logging.getLogger(__name__)

# A stream that is lost is waited for so long before a clip that needs it is written without the rest.
_GRACE_S = 10.0
_OPEN_CLIPS = 8
_COPY_BYTES = 1 << 18


@dataclass(slots=True)
class ClipRequest:
    """A clip that was asked for.

    Attributes:
        since, until: what it is to show, monotonic seconds; `until` moves while what it shows goes on.
        event: the id of the event that asks.
        send: whether it is to be sent as soon as it is written.
        path, complete, problem: what came of it, once `done` is set; `complete` where all of its time is in it.
    """

    camera: str
    since: float
    until: float
    event: str = ""
    send: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    wall_at: float = field(default_factory=time.time)
    done: threading.Event = field(default_factory=threading.Event)
    path: Path | None = None
    complete: bool = False
    problem: EdgeError | None = None


class ClipCamera:
    """Read one camera's encoded stream, from `start` to `close`.

    Args:
        name: of the camera.
        opener: connects.
        ring: what was received last.
        folder: of finished clips.
        on_clip: is given each clip that is written, or could not be.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], PacketSource],
        ring: PacketRing,
        folder: Path,
        *,
        on_clip: Callable[[ClipRequest], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._opener = opener
        self._ring = ring
        self._folder = folder
        self._on_clip = on_clip
        self._clock = clock
        self._lock = threading.Lock()
        self._open: list[ClipRequest] = []
        # Held by whoever uses the ring: the thread, or who closes.
        self._ring_lock = threading.Lock()
        self._stopping = threading.Event()
        self._closed = threading.Event()
        self._counts = {"connected": 0, "lost": 0, "clips": 0, "incomplete": 0, "clips_failed": 0, "clip_bytes": 0}
        self._thread = threading.Thread(target=self._run, name=f"edgesdk-clips-{name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def request_stop(self) -> None:
        """Read no more, and return at once; clips can still be asked for, of what was received."""
        self._stopping.set()

    def close(self) -> None:
        """Write the clips that are open with what there is, and delete the ring; waits for no camera."""
        self._stopping.set()
        with self._ring_lock:
            with self._lock:
                self._closed.set()
            written = self._write_due(float("inf"))
            self._ring.clear()
        self._tell(written)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread that reads, and say whether it ended."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def ask(self, request: ClipRequest) -> bool:
        """Take a request; False where too many clips are open."""
        with self._lock:
            if len(self._open) >= _OPEN_CLIPS or self._closed.is_set():
                return False
            self._open.append(request)
        return True

    def open_clip(self, clip_id: str) -> ClipRequest | None:
        """Return a clip that was asked for and is not written yet."""
        with self._lock:
            return next((one for one in self._open if one.id == clip_id), None)

    def counts(self) -> Mapping[str, int]:
        """Return what became of the stream, its clips and its ring."""
        return {**self._counts, **self._ring.counts()}

    def _run(self) -> None:
        backoff = Backoff(first_s=1.0, limit_s=30.0)
        while not self._stopping.is_set():
            try:
                self._read_stream(backoff)
            except EdgeError as error:
                self._counts["lost"] += 1
                log.warning("%s: clips: %s", self.name, error.message)
            except Exception:  # the thread's top: a stream that fails is opened again
                log.exception("%s: clips", self.name)
            self._write_lost()
            self._stopping.wait(backoff.next_s())

    def _read_stream(self, backoff: Backoff) -> None:
        source = self._opener()
        try:
            with self._ring_lock:
                if self._closed.is_set():
                    return
                self._ring.connected(source.codec, source.parameter_sets)
            self._counts["connected"] += 1
            while not self._stopping.is_set():
                packet = source.read()
                if packet is None:
                    return
                backoff.reset()
                with self._ring_lock:
                    if self._closed.is_set():
                        return
                    self._ring.add(packet, self._needed_from())
                    written = self._write_due(packet.at)
                self._tell(written)
        finally:
            source.close()

    def _write_lost(self) -> None:
        """Write the clips that have waited long enough for a stream that is lost."""
        with self._ring_lock:
            written = [] if self._stopping.is_set() else self._write_due(self._clock() - _GRACE_S)
        self._tell(written)

    def _needed_from(self) -> float:
        with self._lock:
            return min((request.since for request in self._open), default=float("inf"))

    def _write_due(self, received_until: float) -> list[ClipRequest]:
        """Write the clips whose time is over; the caller holds the ring, and tells of them once he does no longer."""
        with self._lock:
            due = [request for request in self._open if request.until <= received_until]
        for request in due:
            try:
                self._write(request)
            except EdgeError as error:
                request.problem = error
                self._counts["clips_failed"] += 1
                log.warning("%s: a clip is not kept: %s", self.name, error.message)
            with self._lock:
                self._open.remove(request)
        return due

    def _tell(self, over: list[ClipRequest]) -> None:
        for request in over:
            try:
                self._on_clip(request)
            except Exception:  # somebody else's border: a clip that is written stays written
                log.exception("%s: clips", self.name)
            request.done.set()

    def _write(self, request: ClipRequest) -> None:
        segments, gathered = self._ring.covering(request.since, request.until)
        if not segments and not gathered:
            raise EdgeError(
                f"Nothing was received of {self.name} in the time of a clip.", hint="See whether it is online."
            )
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(request.wall_at))
        path = self._folder / f"{self.name}-{stamp}-{request.id}.ts"
        with replacing(path, OWNER_ONLY) as clip:
            for segment in segments:
                with segment.path.open("rb", buffering=0) as stored:
                    while piece := stored.read(_COPY_BYTES):
                        write_all(clip, piece)
            write_all(clip, gathered)
        first, last = self._ring.span(request.since, request.until)
        request.complete = first <= request.since and last >= request.until
        request.path = path
        self._counts["clips"] += 1
        self._counts["incomplete"] += not request.complete
        self._counts["clip_bytes"] += path.stat().st_size
