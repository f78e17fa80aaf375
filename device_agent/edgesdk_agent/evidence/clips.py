"""The clips of an agent: which cameras have a ring, and who asks for what."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from edgesdk_agent.config.clips import NETWORK
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.evidence.clip_camera import ClipCamera, ClipRequest
from edgesdk_agent.evidence.encoded_stream import OpenCvPackets
from edgesdk_agent.evidence.packet_ring import PacketRing
from edgesdk_targets.errors import InputError

# Pictures reach the model and the ring by two connections, which differ by so much at most.
_SLACK_S = 1.0


class Clips:
    """Make clips of an agent's cameras.

    Args:
        config: its `clips`, `pictures`, `privacy` and cameras.
        on_clip: is given each clip that is written.
        clock: monotonic seconds.

    Raises:
        InputError: pictures are not enabled or have no folder, privacy hides something, or no camera sends video.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        on_clip: Callable[[ClipRequest], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        section, pictures, privacy = config.clips, config.pictures, config.privacy
        if not pictures.enabled or pictures.folder is None:
            raise InputError("Clips are pictures.", hint="Set pictures.enabled and pictures.folder too.")
        if (privacy.masks or privacy.blur) and not section.show_all:
            hint = "Leave clips out, or set clips.show_all where that is meant."
            raise InputError(
                "Clips are not encoded again, so that nothing in them can be masked or blurred.", hint=hint
            )
        self._section = section
        self._clock = clock
        folder = pictures.folder
        sources = {c.name: section.sources.get(c.name, c.source) for c in config.cameras}
        sources = {name: source for name, source in sources.items() if source.reveal().startswith(NETWORK)}
        if not sources:
            hint = "Use rtsp:// cameras, or name streams in clips.sources."
            raise InputError("No camera sends encoded video, of which clips are made.", hint=hint)
        rings = section.ring_folder or folder / "ring"
        keep_s = section.pre_s + section.post_s + 2 * section.segment_s + _SLACK_S
        self._cameras = {
            name: ClipCamera(
                name,
                partial(OpenCvPackets, source),
                PacketRing(rings / name, keep_s=keep_s, segment_s=section.segment_s, max_bytes=section.ring_bytes),
                Path(folder),
                on_clip=on_clip,
                clock=clock,
            )
            for name, source in sources.items()
        }

    def start(self) -> None:
        """Begin to read the streams."""
        for camera in self._cameras.values():
            camera.start()

    def close(self) -> None:
        """Write what is open, and end."""
        for camera in self._cameras.values():
            camera.close()

    def ask(self, camera: str, *, at: float | None = None, event: str = "") -> ClipRequest:
        """Ask for a clip around a moment; `extend` makes it longer while its event lasts.

        Args:
            at: monotonic seconds, such as a frame's `captured_at`; now unless given.

        Raises:
            InputError: there is no such camera, or too many clips of it are open.
        """
        if camera not in self._cameras:
            raise InputError(f"Camera {camera!r} has no clips.", hint=f"One of {', '.join(self._cameras)}.")
        moment = self._clock() if at is None else at
        request = ClipRequest(camera, moment - self._section.pre_s, moment + self._section.post_s, event)
        if not self._cameras[camera].ask(request):
            raise InputError(f"Too many clips of {camera} are open.", hint="Wait for those.")
        return request

    def extend(self, request: ClipRequest, at: float) -> None:
        """Have a clip show what follows a later moment too, up to the longest clip."""
        longest = request.since + self._section.longest_s
        request.until = min(max(request.until, at + self._section.post_s), longest)

    def take(self, camera: str, timeout_s: float) -> ClipRequest:
        """Ask for a clip around now and wait for it.

        Raises:
            EdgeError: it was not made within the time.
        """
        request = self.ask(camera)
        if not request.done.wait(timeout_s):
            raise InputError(f"The clip of {camera} was not there within {timeout_s:g} s.", hint="Give it more time.")
        if request.problem is not None:
            raise request.problem
        return request

    def counts(self) -> Mapping[str, int]:
        """Return what all cameras counted."""
        total: dict[str, int] = {}
        for camera in self._cameras.values():
            for name, count in camera.counts().items():
                total[name] = total.get(name, 0) + count
        return total
