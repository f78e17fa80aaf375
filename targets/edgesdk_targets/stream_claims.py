"""Which pipeline feeds which camera's stream of a model that goes from frame to frame.

Such a model keeps its state, or its clip, by the camera's name. Two pipelines whose cameras have one name would feed one
state by turns, and both would get answers to pictures they never showed in this order.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from edgesdk_targets.errors import InputError


class StreamClaims:
    """The streams that pipelines feed now; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, object] = {}

    def take(self, owner: object, cameras: Collection[str]) -> None:
        """Claim the streams of these cameras, all or none; what the owner has already stays its own.

        Raises:
            InputError: another owner feeds one of them.
        """
        with self._lock:
            for camera in cameras:
                if self._owners.get(camera, owner) is not owner:
                    raise InputError(
                        f"The model already serves a pipeline with a camera of this name: {camera!r}.",
                        hint="Name the cameras apart, or load the model twice: it remembers the frames of each camera by name.",
                    )
            self._owners.update(dict.fromkeys(cameras, owner))

    def release(self, owner: object) -> None:
        """Give back all that the owner claimed; may be called twice."""
        with self._lock:
            self._owners = {camera: by for camera, by in self._owners.items() if by is not owner}
