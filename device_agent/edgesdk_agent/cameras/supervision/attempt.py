"""One attempt to open a camera, on a thread of its own: whoever waits for it can go away at any moment.

No library can be told to give up what it opens, and one that waits for a dead address does so for its whole time-out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera


class Attempt:
    """Open a camera, from now on.

    Args:
        opener: opens it.
    """

    def __init__(self, opener: Callable[[], Camera]) -> None:
        self._opener = opener
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._left = False
        self._camera: Camera | None = None
        self._error: BaseException | None = None
        # A daemon: an attempt that is left may outlive the wish to end the process.
        threading.Thread(target=self._open, name="edgesdk-open", daemon=True).start()

    def result(self) -> Camera | None:
        """Wait for the camera, which is the caller's from then on; None where the attempt was left meanwhile.

        Raises:
            EdgeError: what the opener raised.
        """
        self._over.wait()
        with self._lock:
            camera, self._camera = self._camera, None
            error, self._error = self._error, None
            if self._left:
                return None
        if error is not None:
            raise error
        return camera

    def leave(self) -> None:
        """Let nobody wait for it any more; a camera that was opened, or will be, and that nobody took, is closed."""
        with self._lock:
            self._left = True
            camera, self._camera = self._camera, None
        self._over.set()
        if camera is not None:
            camera.close()

    def _open(self) -> None:
        try:
            camera = self._opener()
        except BaseException as error:  # noqa: BLE001  (a thread's top: whoever waits is told)
            self._error = error
            self._over.set()
            return
        with self._lock:
            if not self._left:
                self._camera = camera
                self._over.set()
                return
        camera.close()
