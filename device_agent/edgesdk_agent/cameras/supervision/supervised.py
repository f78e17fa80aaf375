"""A live camera that is watched, and opened again when it is silent, broken or frozen.

    online ──lost──▶ degraded ──attempts used up──▶ offline ──▶ tried on slowly, or given up
       ▲                 │                             │
       └── a picture ────┴─────────────────────────────┘          slow or frozen: degraded, while pictures come

Attempts come later and later, spread by chance, and are all there again once pictures have come for a while: a camera
that comes and goes is kept, and one that flaps is not opened for ever in a hurry.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.cameras.camera import Camera, CameraCounts, CameraInfo, FrameLost
from edgesdk_agent.cameras.supervision.frozen_picture import FrozenPicture
from edgesdk_agent.cameras.supervision.health import ONLINE, CameraHealth, CameraState
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.cameras.supervision.rate_watch import RateWatch
from edgesdk_agent.cameras.supervision.still_scene import StillScene
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.5
# A camera that was silent again before it sent so many pictures is given twice the time, up to so many times.
_SETTLED_PICTURES = 20
_MOST_PATIENCE = 16.0
# No reader takes this many times what it may: it hangs inside its driver or decoder.
_HUNG = 3.0
_LEAST_HUNG_S = 30.0

# Opens the camera; is told how long it may be silent, seconds.
Opener = Callable[[float], Camera]


class SupervisedCamera:
    """Read a camera, watch it, and open it again when it is lost.

    The read that found the loss raises `FrameLost` once the camera is back, so that the loss is one gap in the frames.

    Args:
        opener: opens the camera; called at once, and after each loss.
        limits: what it is held to.
        expected_fps: frames a second that are to come; measured unless given.
        wanted_fps: no more of them are handed on.
        backoff: how long to wait before each attempt.
        wait: waits so many seconds, or until this camera is closed, and returns True if it was.
        counts: of the camera over all its lives; `opener` gives the same to each.
        must_open: False where others go on without it: a camera that does not answer the first time counts as lost, and
            its first reads open it.
        description: of a camera that has not answered yet, for people; without a password.
        clock: monotonic seconds.

    Attributes:
        absent: why it could not be opened so far; None once it was. Until then its size is 0 x 0.
        on_change: is told each change of `health`, on the reader's thread.

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
        self.counts = counts or CameraCounts()
        self.absent: CameraLost | None = None
        self.on_change: Callable[[CameraHealth], None] | None = None
        self._limits = limits = limits or SupervisionLimits()
        self._opener = opener
        self._backoff = backoff or Backoff(_FIRST_RETRY_S, limits.retry_most_s)
        self._slow_retry = Backoff(limits.offline_retry_s, limits.offline_retry_s)
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._clock = clock
        self._description = description
        self._wanted_fps = wanted_fps
        self._lends = False
        self._camera: Camera | None = None
        expected_fps = _slower(expected_fps, wanted_fps) if expected_fps else None
        self._rate = RateWatch(expected_fps, limits.slow_below, limits.rate_window_s)
        self._frozen = FrozenPicture()
        self._still = StillScene()
        self._health = ONLINE
        self._failed = 0
        self._patience = 1.0
        self._steady_from: float | None = None
        self._pictures = 0
        # What the reader's thread is inside of, and since when; others look at it.
        self._busy_since: float | None = None
        try:
            self._camera = opener(self._silent_s)
        except CameraLost as loss:
            if must_open:
                raise
            self.absent = loss
            self._health = CameraHealth("offline", "lost", loss.message)

    @property
    def info(self) -> CameraInfo:
        if self._camera is None:
            return CameraInfo(0, 0, None, live=True, description=self._description)
        return self._camera.info

    @property
    def health(self) -> CameraHealth:
        """How the camera does, also when its reader hangs and can tell nothing itself."""
        since, health = self._busy_since, self._health
        longest = max(_LEAST_HUNG_S, _HUNG * self._silent_s)
        if since is not None and self._clock() - since > longest:
            return CameraHealth("offline", "hung", f"{self.info.description}: its reader does not return.")
        return health

    @property
    def state(self) -> CameraState:
        """The one word of `health`."""
        return self.health.state

    def lend_pictures(self) -> None:
        """Let `read` return pictures in the camera's own memory: each is valid until it is given to `read` as `out`."""
        self._lends = True
        _lend(self._camera)

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture.

        Raises:
            CameraLost: the camera did not come back within its attempts, and is given up.
            FrameLost: it was lost and is back.
        """
        if self._camera is None:
            assert self.absent is not None  # noqa: S101  (why there is no camera)
            self._reconnect(self.absent)
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
            if self._camera.info.live and not self._closed.is_set():
                ended = CameraLost(f"{self._description or self.info.description} ended its stream.", hint=_CHECK)
                self._lost(ended, self._clock() - began)
            return None
        self._came(picture, began, self._clock())
        return picture

    def close(self) -> None:
        self._closed.set()
        if self._camera is not None:
            self._camera.close()

    @property
    def _silent_s(self) -> float:
        return self._patience * self._limits.silent_s(self._known_fps)

    @property
    def _known_fps(self) -> float | None:
        known = self._rate.expected
        if known is None and self._camera is not None:
            known = self._camera.info.fps
        return _slower(known, self._wanted_fps)

    def _came(self, picture: Array, began: float, at: float) -> None:
        self._pictures += 1
        if self._steady_from is None:
            self._steady_from = at
        if self._failed and at - self._steady_from >= self._limits.steady_after_s:
            self._failed = 0
            self._backoff.reset()
        self._rate.picture(at, at - began)
        self.counts.rate_changes = self._rate.changes
        if self._frozen.see(picture, at, frozen_s := self._limits.frozen_s(self._known_fps)):
            self._stands_still(at, frozen_s)
        elif self._rate.slow:
            self._still.moves(at)
            expected = self._rate.expected or 0.0
            self._tell(
                CameraHealth("degraded", "slow", f"{self.info.description} sends well under {expected:.3g} fps.")
            )
        else:
            self._still.moves(at)
            self._tell(ONLINE)

    def _stands_still(self, at: float, frozen_s: float) -> None:
        """Open a frozen camera again, but seldom one whose scene stays the same after that."""
        if self._still.is_new:
            self.counts.frozen += 1
        frozen = CameraHealth(
            "degraded", "frozen", f"{self.info.description} has shown one and the same picture for {frozen_s:.3g} s."
        )
        self._tell(frozen)
        if self._still.try_again(at, frozen_s):
            self._reconnect(CameraLost(frozen.message, hint=_CHECK), frozen)

    def _lost(self, loss: CameraLost, waited_s: float) -> None:
        if self._closed.is_set():
            return
        self.counts.stalls += 1
        silent = waited_s >= 0.9 * self._silent_s
        settled = self._pictures >= _SETTLED_PICTURES
        self._patience = min(_MOST_PATIENCE, 2 * self._patience) if silent and not settled else 1.0
        self._reconnect(loss)

    def _reconnect(self, loss: CameraLost, meanwhile: CameraHealth | None = None) -> None:
        """Open the camera again; returns only when this one is closed meanwhile."""
        if self._camera is not None:
            with self._in_driver():
                self._camera.close()
        self._steady_from, self._pictures = None, 0
        self._rate.begin()
        if self.absent is None:
            self._tell(meanwhile or CameraHealth("degraded", "lost", loss.message))
        while True:
            spent = self._failed >= self._limits.attempts
            if spent:
                self._tell(CameraHealth("offline", "lost", loss.message))
                if not self._limits.keep_trying:
                    break
            delay = (self._slow_retry if spent else self._backoff).next_s()
            self._failed += 1
            attempt = f"Attempt {self._failed}" + ("" if spent else f" of {self._limits.attempts}")
            log.warning("%s %s in %.1f s.", loss.message, attempt, delay)
            if self._closed.is_set() or self._wait(delay):
                return
            try:
                with self._in_driver():
                    camera = self._opener(self._silent_s)
            except CameraLost as error:
                loss = error
                continue
            self._take_over(camera)
            if self._closed.is_set():
                camera.close()
                return
            back = "was lost and is back" if self.absent is None else "answers now"
            self.absent = None
            self.counts.reconnects += 1
            raise FrameLost(f"{camera.info.description} {back}.", cause="camera_lost")
        come = "come back" if self.absent is None else "answer"
        told = f"{loss.message} It did not {come} after {self._limits.attempts} attempts."
        raise CameraLost(told, hint=loss.hint) from loss

    def _take_over(self, camera: Camera) -> None:
        self._camera = camera
        if self._lends:
            _lend(camera)

    @contextmanager
    def _in_driver(self) -> Iterator[None]:
        """Do what may hang in a driver, so that others see since when."""
        self._busy_since = self._clock()
        try:
            yield
        finally:
            self._busy_since = None

    def _tell(self, health: CameraHealth) -> None:
        changed = (health.state, health.cause) != (self._health.state, self._health.cause)
        self._health = health
        if changed:
            described = f": {health.message}" if health.message else ""
            log.log(
                logging.INFO if health is ONLINE else logging.WARNING,
                "%s is %s%s",
                self.info.description or self._description,
                health.state,
                described,
            )
            if self.on_change is not None:
                self.on_change(health)


_CHECK = "Check the camera's power, cable and network."


def _slower(one: float | None, other: float | None) -> float | None:
    return min((fps for fps in (one, other) if fps), default=None)


def _lend(camera: Camera | None) -> None:
    lend = getattr(camera, "lend_pictures", None)
    if lend is not None:
        lend()
