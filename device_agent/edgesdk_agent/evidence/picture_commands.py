"""What commands may do with pictures: take one, make a clip, and have one sent that is kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pydantic import JsonValue

from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    # Commands are always there; what they ask for is loaded where it is on.
    from edgesdk_agent.evidence.clips import Clips
    from edgesdk_agent.evidence.outgoing import Outgoing
    from edgesdk_agent.evidence.snapshots import Snapshots

Answer = dict[str, JsonValue]


class PictureCommands:
    """Do what commands ask.

    Args:
        cameras: their names.
        snapshots, clips, outgoing: None where they are off.
    """

    def __init__(
        self, cameras: Collection[str], snapshots: Snapshots | None, clips: Clips | None, outgoing: Outgoing | None
    ) -> None:
        self._cameras = tuple(cameras)
        self._snapshots = snapshots
        self._clips = clips
        self._outgoing = outgoing

    def snapshot(self, camera: str, timeout_s: float) -> Answer:
        """Take the next picture of a camera, with what is to be hidden hidden, keep and send it, and say what it is.

        Raises:
            InputError: there is no such camera, pictures are not enabled, or none came within the time.
        """
        self._check(camera)
        if self._snapshots is None:
            raise InputError("This device gives no pictures.", hint="Set pictures.enabled in its configuration.")
        taken = self._snapshots.take(camera, timeout_s)
        assert taken.jpeg is not None  # noqa: S101  (a request without one raises)
        size: Answer = {"width": taken.jpeg.width, "height": taken.jpeg.height}
        return {"id": taken.id, "camera": camera, "frame": taken.frame, "bytes": len(taken.jpeg.data), **size}

    def clip(self, camera: str, at: datetime | None, seconds: float | None, *, upload: bool) -> Answer:
        """Have a clip made, and say which, and what it will show; it is written when its last moment is over.

        Args:
            at: around this moment, or from it on where `seconds` are given; now unless given.
            seconds: how long; as events have it unless given.
            upload: send it once it is written.

        Raises:
            InputError: clips are not enabled, the camera has none, the time is not in the ring, or nothing can be sent.
        """
        self._check(camera)
        if self._clips is None:
            raise InputError("This device makes no clips.", hint="Set clips.enabled in its configuration.")
        if upload:
            self._sender()
        clips = self._clips
        moment = clips.now() if at is None else clips.monotonic(at.timestamp())
        if seconds is None:
            asked = clips.ask_around(camera, moment, send=upload)
        else:
            asked = clips.ask_span(camera, moment, moment + seconds, send=upload)
        return {
            "id": asked.id,
            "camera": camera,
            "from": _utc(clips.wall(asked.since)),
            "until": _utc(clips.wall(asked.until)),
            "upload": upload,
        }

    def upload(self, file_id: str) -> Answer:
        """Have a picture or clip sent, now or as soon as it is written.

        Raises:
            InputError: there is none of this id, or no server is configured.
        """
        sender = self._sender()
        if self._clips is not None and (clip := self._clips.open_clip(file_id)) is not None:
            clip.send = True
            return {"id": file_id, "state": "when_written"}
        path = sender.send_by_id(file_id)
        return {"id": file_id, "state": "queued", "filename": path.name, "bytes": path.stat().st_size}

    def _check(self, camera: str) -> None:
        if camera not in self._cameras:
            raise InputError(f"There is no camera {camera!r}.", hint=f"One of {', '.join(self._cameras)}.")

    def _sender(self) -> Outgoing:
        if self._outgoing is None:
            raise InputError("This device sends nothing.", hint="Set clips.upload.url in its configuration.")
        return self._outgoing


def _utc(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
