"""The one door through which pictures leave the pipeline: what is to be hidden is hidden here, and nowhere later.

    lane ─ result ─▶ door ─▶ reports, hooks, events          (hooks with pictures: hidden before, unless told otherwise)
                       └───▶ whoever wants this picture      (snapshots, preview: hidden always)

Nothing is done to a picture that nobody takes. Those who want one are asked after the others had the result, so that
an event can ask for the picture of the very frame in which it began.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts, is_on_own_thread
from edgesdk_agent.delivery.watched_calls import UserCode, user_code_in
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.privacy.concealment import Concealment

log = logging.getLogger(__name__)


class PictureTaker(Protocol):
    """Someone who shows, stores or sends pictures. It copies what it needs, and is quick."""

    def wants(self, camera: str) -> bool:
        """Say whether the next picture of this camera is wanted."""
        ...

    def __call__(self, result: FrameResult) -> None:
        """Take a result with its picture, which is lent until this returns."""
        ...


class PictureExit:
    """A delivery that hides what is to be hidden, and gives pictures to those who want them.

    Args:
        inner: gets every result.
        takers: get the pictures that they want.
        concealment: what is hidden.
        inner_sees_pictures: give `inner` the pictures too; inner_sees_all: as they are, with nothing hidden.
    """

    def __init__(
        self,
        inner: Delivery,
        takers: Sequence[PictureTaker],
        concealment: Concealment,
        *,
        inner_sees_pictures: bool,
        inner_sees_all: bool = False,
    ) -> None:
        self._inner = inner
        self._takers = tuple(takers)
        self._concealment = concealment
        self._inner_sees_pictures = inner_sees_pictures
        self._inner_sees_all = inner_sees_all
        self._failed = 0

    def start(self) -> None:
        """Be ready for results.

        Raises:
            EdgeError: the inner delivery cannot be used.
        """
        self._inner.start()

    def __call__(self, result: FrameResult) -> None:
        """Give a result, and its picture, to those who are to have it."""
        self._concealment.note(result)
        concealed = self._inner_sees_pictures and not self._inner_sees_all
        if concealed:
            result = self._concealment.conceal(result)
        self._inner(result if self._inner_sees_pictures else replace(result, image=None))
        if result.image is None:
            return
        for taker in self._takers:
            if not taker.wants(result.camera):
                continue
            if not concealed:
                result, concealed = self._concealment.conceal(result), True
            self._give(taker, result)

    def close(self, timeout_s: float) -> None:
        """Deliver what waits, within the time, and end."""
        self._inner.close(timeout_s)

    def is_current(self) -> bool:
        """Say whether the caller is the inner delivery's own thread."""
        return is_on_own_thread(self._inner)

    def user_code(self) -> Iterable[UserCode]:
        """Return the user code that runs on the thread that delivers."""
        return user_code_in(self._inner)

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        return self._inner.counts()

    def _give(self, taker: PictureTaker, result: FrameResult) -> None:
        try:
            taker(result)
        except Exception:  # whatever a picture does to its taker, the pipeline goes on; once is told
            self._failed += 1
            if self._failed == 1:
                log.exception("A picture of %s could not be taken", result.camera)
