"""The clips of an agent: which cameras have a ring, and who asks for what."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from edgesdk_agent.config.clips import NETWORK
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.evidence.clip_camera import ClipCamera, ClipRequest
from edgesdk_agent.evidence.encoded_stream import READ_TIMEOUT_S, OpenCvPackets
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_agent.evidence.ring_place import ring_place
from edgesdk_agent.evidence.written_bytes import WrittenBytes
from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import SecretUrl

log = logging.getLogger(__name__)

# Pictures reach the model and the ring by two connections, which differ by so much at most.
_SLACK_S = 1.0


class Clips:
    """Make clips of an agent's cameras.

    Args:
        config: its `clips`, `pictures`, `privacy` and cameras.
        on_clip: is given each clip that is written, or could not be.
        written: counts what the ring writes.
        clock: monotonic seconds; wall: seconds since 1970.

    Raises:
        InputError: pictures are not enabled or have no folder, privacy hides something, no camera sends video, or no file
            system in memory has room for the ring and no folder is named for it.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        on_clip: Callable[[ClipRequest], None],
        written: WrittenBytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        folder = _check(config)
        section = self._section = config.clips
        self._clock, self._wall = clock, wall
        sources = _sources(config)
        self._place = place = ring_place(section.ring_folder, folder, len(sources), section.ring_bytes)
        keep_s = section.pre_s + section.post_s + 2 * section.segment_s + _SLACK_S
        count = None if written is None else partial(written.add, in_memory=place.in_memory)
        self._cameras = {
            name: ClipCamera(
                name,
                partial(OpenCvPackets, source),
                PacketRing(
                    place.folder / name,
                    keep_s=keep_s,
                    segment_s=section.segment_s,
                    max_bytes=place.bytes_each,
                    on_written=count,
                ),
                folder,
                on_clip=on_clip,
                clock=clock,
            )
            for name, source in sources.items()
        }
        self._refused = 0
        self._stop_at: float | None = None

    def start(self) -> None:
        """Begin to read the streams."""
        for camera in self._cameras.values():
            camera.start()

    def request_stop(self) -> None:
        """Read no more, and return at once: a read that hangs ends while the rest of the agent stops."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + READ_TIMEOUT_S + 0.5
        for camera in self._cameras.values():
            camera.request_stop()

    def finish(self) -> None:
        """Write what is open, and delete the rings; waits for no camera."""
        self.request_stop()
        for camera in self._cameras.values():
            camera.close()

    def close(self) -> None:
        """Finish, and wait for a camera that hangs until its read is over, and no longer."""
        self.finish()
        assert self._stop_at is not None  # noqa: S101  (set above)
        for camera in self._cameras.values():
            if not camera.join(self._stop_at - time.monotonic()):
                log.warning("%s: the stream for clips hangs, and is left behind", camera.name)
        self._place.leave(self._cameras)

    def ask(
        self, camera: str, *, at: float | None = None, event: str = "", lasting: bool = False, send: bool = False
    ) -> ClipRequest:
        """Ask for a clip around a moment.

        Args:
            at: monotonic seconds, such as a frame's `captured_at`; now unless given.
            lasting: what it shows goes on until `end` is called, or the longest clip is full.

        Raises:
            InputError: there is no such camera, or too many clips of it are open.
        """
        moment = self._clock() if at is None else at
        since, longest = moment - self._section.pre_s, self._section.longest_s
        length = longest if lasting else min(longest, self._section.pre_s + self._section.post_s)
        return self._take(ClipRequest(camera, since, since + length, event, send))

    def ask_around(self, camera: str, moment: float, *, send: bool = False) -> ClipRequest:
        """Ask for a clip around a moment, monotonic seconds, as long as that of an event that is over at once.

        Raises:
            InputError: as `ask_span`.
        """
        since, until = moment - self._section.pre_s, moment + self._section.post_s
        return self.ask_span(camera, since, min(until, since + self._section.longest_s), send=send)

    def ask_span(self, camera: str, since: float, until: float, *, send: bool = False) -> ClipRequest:
        """Ask for a clip of a time, monotonic seconds, which may lie ahead.

        Raises:
            InputError: as `ask`; or it is longer than the longest clip, or too far back or ahead.
        """
        longest, now = self._section.longest_s, self._clock()
        if until - since > longest:
            raise InputError(f"A clip of {until - since:g} s is too long.", hint=f"clips.longest_s is {longest:g}.")
        if until > now + longest:
            raise InputError("A clip may not lie further ahead than the longest clip.", hint="Ask for it later.")
        kept_s = self._section.pre_s + self._section.post_s
        if until < now - kept_s:
            raise InputError(
                f"The ring keeps about the last {kept_s:g} s; what is asked for ended {now - until:.0f} s ago.",
                hint="Raise clips.pre_s, or send the clip of an event with `upload`.",
            )
        return self._take(ClipRequest(camera, since, until, send=send))

    def end(self, request: ClipRequest, at: float) -> None:
        """Note that what a lasting clip shows ended, monotonic seconds; it shows what follows for `post_s`."""
        longest = request.since + self._section.longest_s
        request.until = min(max(request.since, at) + self._section.post_s, longest)

    def now(self) -> float:
        """Return this moment by the clock of `ask`."""
        return self._clock()

    def monotonic(self, wall: float) -> float:
        """Return a moment of the wall clock, seconds since 1970, by the clock of `ask`."""
        return wall - self._wall() + self._clock()

    def wall(self, moment: float) -> float:
        """Return a moment of the clock of `ask` in seconds since 1970."""
        return moment - self._clock() + self._wall()

    def open_clip(self, clip_id: str) -> ClipRequest | None:
        """Return a clip that was asked for and is not written yet."""
        found = (camera.open_clip(clip_id) for camera in self._cameras.values())
        return next((one for one in found if one is not None), None)

    def counts(self) -> Mapping[str, int]:
        """Return what all cameras counted."""
        total: dict[str, int] = {"refused": self._refused}
        for camera in self._cameras.values():
            for name, count in camera.counts().items():
                total[name] = total.get(name, 0) + count
        return total

    def _take(self, request: ClipRequest) -> ClipRequest:
        camera = request.camera
        if camera not in self._cameras:
            raise InputError(f"Camera {camera!r} has no clips.", hint=f"One of {', '.join(self._cameras)}.")
        request.wall_at = self.wall(request.since)
        if not self._cameras[camera].ask(request):
            self._refused += 1
            raise InputError(f"Too many clips of {camera} are open.", hint="Wait for those.")
        return request


def _check(config: AgentConfig) -> Path:
    """Return the folder of clips."""
    pictures, privacy = config.pictures, config.privacy
    if not pictures.enabled or pictures.folder is None:
        raise InputError("Clips are pictures.", hint="Set pictures.enabled and pictures.folder too.")
    if (privacy.masks or privacy.blur) and not config.clips.unmasked_clips:
        hint = "Leave clips out, or set clips.unmasked_clips where that is meant."
        raise InputError("Clips are not encoded again, so that nothing in them can be masked or blurred.", hint=hint)
    return pictures.folder


def _sources(config: AgentConfig) -> dict[str, SecretUrl]:
    """Return the streams of which clips are made, by camera."""
    named = config.clips.sources
    unknown = next((name for name in named if name not in {camera.name for camera in config.cameras}), None)
    if unknown is not None:
        known = ", ".join(camera.name for camera in config.cameras)
        raise InputError(f"clips.sources names the camera {unknown!r}, which there is not.", hint=f"One of {known}.")
    sources = {c.name: named.get(c.name, c.source) for c in config.cameras}
    sources = {name: source for name, source in sources.items() if source.reveal().startswith(NETWORK)}
    if not sources:
        hint = "Use rtsp:// cameras, or name streams in clips.sources."
        raise InputError("No camera sends encoded video, of which clips are made.", hint=hint)
    return sources
