"""Single pictures, asked for by events and commands: copied on the lane, drawn, compressed and sent on a thread of their own.

The lane only copies, into one of a few rooms that are used again. Where all are in use, the next frame serves as well.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from edgesdk_agent.delivery.picture_memory import OwnPicture
from edgesdk_agent.evidence.picture_store import PictureStore
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.frame_data.jpeg_budget import Jpeg, JpegBudget
from edgesdk_targets.errors import EdgeError, InputError

log = logging.getLogger(__name__)

_ROOMS = 3
_ASKED_AT_MOST = 16
_SWEEP_EVERY_S = 30.0
_MINUTE_S = 60.0


@dataclass(slots=True)
class SnapshotRequest:
    """A snapshot that was asked for.

    Attributes:
        id: unique on this device.
        event: the id of the event that asks; reason: who asks else.
        send: whether it is to be sent to the upload's server once it is kept.
        jpeg, frame, wall_at, problem: what came of it, once `done` is set.
    """

    camera: str
    event: str = ""
    reason: str = ""
    send: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    done: threading.Event = field(default_factory=threading.Event)
    jpeg: Jpeg | None = None
    frame: int = 0
    wall_at: float = 0.0
    problem: EdgeError | None = None


@dataclass(slots=True)
class _Taken:
    requests: list[SnapshotRequest]
    result: FrameResult
    room: OwnPicture


class Snapshots:
    """Take snapshots: a taker of the pictures' door.

    Args:
        budget: compresses them.
        annotate: draws what the model found into (H, W, 3) uint8 BGR; None leaves pictures plain.
        per_minute: of each camera, asked for by events; more are refused and counted.
        store: where they are kept; publish: takes each that is done. Without both they only answer who asked.
        on_kept: is given each that is kept, its file and its bytes.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        budget: JpegBudget,
        *,
        annotate: Callable[[FrameResult], None] | None,
        per_minute: int,
        store: PictureStore | None = None,
        publish: Callable[[SnapshotRequest], bool] | None = None,
        on_kept: Callable[[SnapshotRequest, Path, int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget
        self._annotate = annotate
        self._per_minute = per_minute
        self._store = store
        self.publish = publish
        self._on_kept = on_kept
        self._clock = clock
        self._lock = threading.Condition()
        self._asked: dict[str, list[SnapshotRequest]] = {}
        self._taken: deque[_Taken] = deque()
        self._rooms = [OwnPicture() for _ in range(_ROOMS)]
        self._times: dict[str, deque[float]] = {}
        self._stopping = False
        # In a row, the last.
        self._not_kept = 0
        self._counts = {"asked": 0, "taken": 0, "limited": 0, "failed": 0, "sent": 0}
        self._thread = threading.Thread(target=self._run, name="edgesdk-snapshots", daemon=True)

    def start(self) -> None:
        """Begin to compress, and to delete what is too old."""
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Finish what was taken; what was only asked for is refused."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        refused = InputError("The agent stops.", hint="Ask again when it runs.")
        for requests in self._asked.values():
            self._finish(requests, None, refused)

    def ask(self, camera: str, *, event: str = "", reason: str = "", limited: bool = True) -> SnapshotRequest | None:
        """Ask for the next picture of a camera: where an event asks while it is told a result, for that very frame.

        Args:
            limited: counts against the camera's snapshots a minute; None is returned where there were too many.
        """
        with self._lock:
            if limited and not self._may(camera):
                self._counts["limited"] += 1
                return None
            asked = self._asked.setdefault(camera, [])
            if len(asked) >= _ASKED_AT_MOST:
                self._counts["limited"] += 1
                return None
            request = SnapshotRequest(camera, event, reason)
            asked.append(request)
            self._counts["asked"] += 1
            return request

    def take(self, camera: str, timeout_s: float, *, reason: str = "command") -> SnapshotRequest:
        """Ask for a snapshot and wait for it.

        Raises:
            EdgeError: no picture came within the time, or it could not be made.
        """
        request = self.ask(camera, reason=reason, limited=False)
        if request is None:
            raise InputError(f"Too many snapshots of {camera} are asked for.", hint="Wait for those.")
        if not request.done.wait(timeout_s):
            raise InputError(
                f"Camera {camera} gave no picture within {timeout_s:g} s.", hint="See whether it is online."
            )
        if request.problem is not None:
            raise request.problem
        return request

    # --- a taker of pictures

    def wants(self, camera: str) -> bool:
        """Say whether a picture of this camera was asked for, and there is room for it."""
        return bool(self._asked.get(camera)) and bool(self._rooms)

    def __call__(self, result: FrameResult) -> None:
        """Copy a picture."""
        assert result.image is not None  # noqa: S101  (the door asks before)
        with self._lock:
            requests = self._asked.pop(result.camera, [])
            room = self._rooms.pop()
        copied = replace(result, image=room.hold(result.image))
        with self._lock:
            self._taken.append(_Taken(requests, copied, room))
            self._lock.notify_all()

    def counts(self) -> Mapping[str, int]:
        """Return what became of those that were asked for, and what compressing made of them."""
        stored = {} if self._store is None else self._store.counts()
        return {**self._counts, **{f"jpeg_{name}": count for name, count in self._budget.counts().items()}, **stored}

    def _may(self, camera: str) -> bool:
        now, times = self._clock(), self._times.setdefault(camera, deque())
        while times and now - times[0] > _MINUTE_S:
            times.popleft()
        if len(times) >= self._per_minute:
            return False
        times.append(now)
        return True

    def _run(self) -> None:
        while True:
            self._sweep()
            with self._lock:
                self._lock.wait_for(lambda: self._taken or self._stopping, _SWEEP_EVERY_S)
                if not self._taken:
                    if self._stopping:
                        return
                    continue
                taken = self._taken.popleft()
            self._make(taken)

    def _make(self, taken: _Taken) -> None:
        result = taken.result
        assert result.image is not None  # noqa: S101  (it was copied)
        try:
            if self._annotate is not None:
                self._annotate(result)
            jpeg = self._budget.compress(result.image)
        except EdgeError as error:
            self._finish(taken.requests, None, error)
        except Exception as error:  # the thread's top: one snapshot less, and the next is made
            log.exception("A snapshot of %s failed", result.camera)
            self._finish(taken.requests, None, InputError(f"The snapshot failed: {type(error).__name__}."))
        else:
            for request in taken.requests:
                request.frame, request.wall_at, request.jpeg = result.seq, result.wall_at, jpeg
                self._keep(request, jpeg)
            self._finish(taken.requests, jpeg, None)
        finally:
            with self._lock:
                self._rooms.append(taken.room)

    def _keep(self, request: SnapshotRequest, jpeg: Jpeg) -> None:
        if self._store is not None:
            stamp = datetime.fromtimestamp(request.wall_at, timezone.utc).strftime("%Y%m%dT%H%M%S")
            try:
                path = self._store.put(f"{request.camera}-{stamp}-{request.id}.jpg", jpeg.data)
                if self._on_kept is not None:
                    self._on_kept(request, path, len(jpeg.data))
            except EdgeError as error:
                # Once until it works: a folder that stays closed must not fill the log.
                level = logging.DEBUG if self._not_kept else logging.WARNING
                self._counts["failed"] += 1
                self._not_kept += 1
                log.log(level, "A snapshot is not kept: %s %s", error.message, error.hint)
            else:
                if self._not_kept:
                    log.warning("Snapshots are kept again; %d were not", self._not_kept)
                    self._not_kept = 0
        if self.publish is not None and self.publish(request):
            self._counts["sent"] += 1

    def _finish(self, requests: list[SnapshotRequest], jpeg: Jpeg | None, problem: EdgeError | None) -> None:
        for request in requests:
            request.jpeg, request.problem = jpeg, problem
            self._counts["taken" if problem is None else "failed"] += 1
            request.done.set()

    def _sweep(self) -> None:
        if self._store is not None:
            try:
                self._store.sweep()
            except OSError as error:
                log.warning("Old pictures cannot be deleted: %s", error.strerror)
