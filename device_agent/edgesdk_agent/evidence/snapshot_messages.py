"""Snapshots as messages on `up/snap`, said beside the reports: a picture is too large for what must not be lost.

While there is no connection nothing is kept for it in memory; what `pictures.folder` keeps can be asked for later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from edgesdk_agent.evidence.snapshots import SnapshotRequest
from edgesdk_agent.link.presence import Publication, utc
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages.snapshot import Snapshot, encode_snapshot
from edgesdk_targets.topics import Channel, Node, Topic

log = logging.getLogger(__name__)

# Nobody waits longer for a picture that the broker could not pass on.
_EXPIRES_S = 3600


class SnapshotMessages:
    """Say snapshots.

    Args:
        node: whose they are.
        epoch: of the reports; next_seq: the number that the next report will get.
        say: takes each message.
        connected: whether there is somebody to say it to.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        node: Node,
        *,
        epoch: str,
        next_seq: Callable[[], int],
        say: Callable[[Publication], None],
        connected: Callable[[], bool],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._epoch = epoch
        self._next_seq = next_seq
        self._say = say
        self._connected = connected
        self._wall = wall

    def __call__(self, request: SnapshotRequest) -> bool:
        """Say one that was taken, and return whether it is on its way."""
        jpeg = request.jpeg
        if jpeg is None or not self._connected():
            return False
        snapshot = Snapshot(
            node=str(self._node),
            at=utc(self._wall()),
            epoch=self._epoch,
            seq=self._next_seq(),
            id=request.id,
            camera=request.camera,
            frame=request.frame,
            captured_at=utc(request.wall_at),
            event=request.event,
            reason=request.reason,
            width=jpeg.width,
            height=jpeg.height,
        )
        try:
            body = encode_snapshot(snapshot, jpeg.data)
        except InputError as error:
            log.warning("A snapshot is not sent: %s", error.message)
            return False
        self._say(Publication(str(Topic(self._node, Channel.SNAPSHOT)), body, expires_s=_EXPIRES_S))
        return True
