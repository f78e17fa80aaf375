"""A live camera that is watched, and opened again when it is silent, broken or frozen.

    connecting ── a picture ──▶ online ── lost ──▶ degraded ── attempts used up ──▶ offline ──▶ tried on slowly, or given up
        │                         ▲                   │                               ▲ │
        │                         └─── a picture ─────┴───────────────────────────────┼─┘
        └── no answer ────────────────────────────────────────────────────────────────┘

Slow or frozen is degraded too, while pictures come.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.cameras.camera import Camera, CameraCounts, CameraInfo, FrameLost, SizeChanged
from edgesdk_agent.cameras.supervision.attempt_budget import AttemptBudget
from edgesdk_agent.cameras.supervision.health import ONLINE, CameraHealth
from edgesdk_agent.cameras.supervision.held_camera import HeldCamera
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.cameras.supervision.opened_early import OpenedEarly
from edgesdk_agent.cameras.supervision.picture_watch import PictureWatch
from edgesdk_agent.cameras.supervision.size_after import note_size
from edgesdk_agent.cameras.supervision.told_health import ToldHealth
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

_CHECK = "Check the camera's power, cable and network."

# Opens the camera; is told how long it may be silent, seconds.
Opener = Callable[[float], Camera]


class SupervisedCamera(ToldHealth):
    """Read a camera, watch it, and open it again when it is lost.

    The read that found the loss raises `FrameLost` once the camera is back, so that the loss is one gap in the frames.

    Args:
        opener: opens the camera, on a thread that may be left alone; called at once or by the first read, and after each
            loss.
        limits: what it is held to.
        expected_fps: frames a second that are to come; measured unless given.
        wanted_fps: no more of them are handed on.
        backoff: how long to wait before each attempt.
        wait: waits so many seconds, or until this camera is closed, and returns True if it was.
        counts: of the camera over all its lives; `opener` gives the same to each.
        must_open: False where others go on without it: it is `connecting` until its first read, or `open_now`, opens it,
            and one that does not answer then counts as lost.
        description: of a camera that has not answered yet, for people; without a password.
        clock: monotonic seconds.

    Attributes:
        absent: why it could not be opened so far; None before the first attempt, and once it was. Until it is opened its
            size is 0 x 0.

    Raises:
        CameraLost: it must open and cannot, when a person is there to see the reason.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        limits: SupervisionLimits | None = None,
        expected_fps: float | None = None,
        wanted_fps: float | None = None,
        backoff: Backoff | None = None,
        wait: Callable[[float], bool] | None = None,
        counts: CameraCounts | None = None,
        must_open: bool = True,
        description: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(description, clock)
        self.counts = counts or CameraCounts()
        self.absent: CameraLost | None = None
        self._limits = limits or SupervisionLimits()
        self._opener = opener
        self._budget = AttemptBudget(self._limits, backoff)
        self._held = HeldCamera()
        self._wait = wait or self._held.closed.wait
        self._watch = PictureWatch(self._limits, expected_fps, wanted_fps, self.counts)
        self._early: OpenedEarly | None = None
        if must_open:
            self._held.camera, self._health = opener(self._silent_s), ONLINE

    @property
    def info(self) -> CameraInfo:
        if self._camera is None:
            return CameraInfo(0, 0, None, live=True, description=self._description)
        return self._camera.info

    def lend_pictures(self) -> None:
        """Let `read` return pictures in the camera's own memory: each is valid until it is given to `read` as `out`."""
        self._held.lend_pictures()

    def open_early(self) -> None:
        """Begin to open it; the first read waits for that, and what came before it is left out."""
        if self._camera is None:
            self._early = OpenedEarly(self._open)

    def open_now(self) -> None:
        """Open it for the first time, where the first read would do so; one that does not answer is `absent` then."""
        try:
            self._open()
        except CameraLost as loss:
            self._answered_nothing(loss)

    def _answered_nothing(self, loss: CameraLost) -> None:
        self.absent = loss
        self._tell(CameraHealth("offline", "lost", loss.message))

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture.

        Raises:
            CameraLost: the camera did not come back within its attempts, and is given up.
            FrameLost: it was lost and is back.
        """
        if self._early is not None and (picture := self._first_picture(self._early)) is not None:
            return picture
        if self._camera is None and self.absent is None:
            self.open_now()
        if self.absent is not None:
            self._reconnect(self.absent)
        if self._camera is None:
            return None
        began = self._busy_since = self._clock()
        try:
            picture = self._camera.read(out)
        except CameraLost as loss:
            self._lost(loss, self._clock() - began)
            return None
        finally:
            self._busy_since = None
        if picture is None:
            if self._camera.info.live and not self._held.closed.is_set():
                ended = CameraLost(f"{self._description or self.info.description} ended its stream.", hint=_CHECK)
                self._lost(ended, self._clock() - began)
            return None
        self._came(picture, began, self._clock())
        return picture

    def close(self) -> None:
        self._held.close()

    @property
    def _camera(self) -> Camera | None:
        return self._held.camera

    @property
    def _silent_s(self) -> float:
        return self._budget.patience * self._limits.silent_s(self._watch.known_fps(self._told_fps))

    @property
    def _told_fps(self) -> float | None:
        return None if self._camera is None else self._camera.info.fps

    def _first_picture(self, early: OpenedEarly) -> Array | None:
        """Take over what was opened early; None where the first picture is to be read as any other."""
        self._early, began = None, self._clock()
        try:
            with self._in_driver():
                picture = early.take_over()
        except CameraLost as loss:
            if self._camera is None:
                self._answered_nothing(loss)
            else:
                self._lost(loss, 0.0)
            return None
        if picture is not None:
            self._came(picture, began, self._clock())
        return picture

    def _came(self, picture: Array, began: float, at: float) -> None:
        self._budget.picture(at)
        health = self._watch.see(picture, began, at, self.info)
        self._tell(health)
        if health.cause == "frozen" and self._watch.is_to_be_opened_again(at, self._told_fps):
            self._reconnect(CameraLost(health.message, hint=_CHECK), health)

    def _lost(self, loss: CameraLost, waited_s: float) -> None:
        if self._held.closed.is_set():
            return
        meanwhile = None
        if isinstance(loss, SizeChanged):
            meanwhile = CameraHealth("degraded", "resized", loss.message)
        else:
            self.counts.stalls += 1
            self._budget.lost(silent=waited_s >= 0.9 * self._silent_s)
        self._reconnect(loss, meanwhile)

    def _reconnect(self, loss: CameraLost, meanwhile: CameraHealth | None = None) -> None:
        """Open the camera again; returns only when this one is closed meanwhile."""
        before, suspected = self.info, isinstance(loss, SizeChanged)
        # Nothing has failed where only the size is another: the first attempt is not one of the camera's.
        is_free = suspected
        if self._camera is not None:
            with self._in_driver():
                self._camera.close()
        self._budget.begin_again()
        self._watch.begin_again()
        if self.absent is None:
            self._tell(meanwhile or CameraHealth("degraded", "lost", loss.message))
        while True:
            if self._budget.spent and not is_free:
                self._tell(CameraHealth("offline", "lost", loss.message))
                if not self._limits.keep_trying:
                    break
            delay, attempt = self._budget.free_wait_s() if is_free else self._budget.next_wait_s()
            is_free = False
            log.warning("%s %s in %.1f s.", loss.message, attempt, delay)
            if self._held.closed.is_set() or self._wait(delay):
                return
            try:
                camera = self._open()
            except CameraLost as error:
                # With its traceback it would be held by this very frame, and with it what the attempt had opened.
                loss = error.with_traceback(None)
                continue
            if camera is None:
                return
            back = "was lost and is back" if self.absent is None else "answers now"
            self.absent = None
            self.counts.reconnects += 1
            note_size(before, camera.info, self.counts, suspected=suspected)
            raise FrameLost(f"{camera.info.description} {back}.", cause="camera_lost")
        come = "come back" if self.absent is None else "answer"
        told = f"{loss.message} It did not {come} after {self._limits.attempts} attempts."
        raise CameraLost(told, hint=loss.hint) from loss

    def _open(self) -> Camera | None:
        """Open the camera and take it; None where this one is closed meanwhile."""
        with self._in_driver():
            return self._held.open(partial(self._opener, self._silent_s))
