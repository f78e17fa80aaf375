"""A live camera that is opened before anybody reads it, and kept young until then.

What a camera sends waits in sockets for whoever reads; a first picture from there would be as old as the model's loading
took. So what comes meanwhile is read and thrown away, and the first read gets the picture that is just under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera, FrameLost
from edgesdk_targets.tensor import Array


class OpenedEarly:
    """Open a camera on a thread that is left alone until `take_over`.

    Args:
        opener: opens it; None where it was closed meanwhile.
    """

    def __init__(self, opener: Callable[[], Camera | None]) -> None:
        self._opener = opener
        self._wanted = threading.Event()
        self._picture: Array | None = None
        self._error: BaseException | None = None
        # A daemon: a driver that never answers keeps no process.
        self._thread = threading.Thread(target=self._run, name="edgesdk-early", daemon=True)
        self._thread.start()

    def take_over(self) -> Array | None:
        """Wait until the camera is the caller's alone, and return its newest picture, if there is one.

        Raises:
            EdgeError: what the opener raised, or the camera meanwhile.
        """
        self._wanted.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        picture, self._picture = self._picture, None
        return picture

    def _run(self) -> None:
        try:
            camera = self._opener()
            # One whose pictures lie in its own memory may be lent them only by whoever gives them back.
            if camera is None or hasattr(camera, "lend_pictures"):
                return
            while not self._wanted.is_set():
                try:
                    self._picture = camera.read(self._picture)
                except FrameLost:
                    continue
                if self._picture is None:
                    return
        except BaseException as error:  # noqa: BLE001  (a thread's top: whoever takes over is told)
            self._picture, self._error = None, error
