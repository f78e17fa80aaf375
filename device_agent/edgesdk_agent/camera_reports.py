"""Tell how each camera does: a change of its state as an event, once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, Protocol

from pydantic import JsonValue

from edgesdk_agent.cameras.camera import Camera, counts_of, health_of
from edgesdk_agent.cameras.supervision.health import CameraHealth, CameraState

Severity = Literal["info", "warning", "error"]


class Tell(Protocol):
    """Reports an event."""

    def __call__(
        self,
        name: str,
        severity: Severity = "info",
        message: str = "",
        *,
        camera: str = "",
        data: dict[str, JsonValue] | None = None,
    ) -> None: ...


_SEVERITY: Mapping[CameraState, Severity] = {
    "connecting": "info",
    "online": "info",
    "degraded": "warning",
    "offline": "error",
}
_COUNTED = ("stalls", "reconnects", "frozen", "corrupt", "resized", "size_alarms", "rate_changes", "skipped")


class CameraReports:
    """Watch cameras, and report each change of state once.

    Args:
        cameras: by name.
        tell: reports an event; None only keeps account.

    Attributes:
        on_online: is given the name of each camera that has come online, on its reader's thread.
    """

    def __init__(self, cameras: Mapping[str, Camera], tell: Tell | None) -> None:
        self._cameras = dict(cameras)
        self._tell = tell
        self.on_online: Callable[[str], None] | None = None
        self._lock = threading.Lock()
        self._told: dict[str, CameraHealth] = {name: health_of(camera) for name, camera in cameras.items()}
        self._failed: set[str] = set()
        for name, camera in self._cameras.items():
            if hasattr(camera, "on_change"):
                camera.on_change = partial(self._changed, name)

    def given_up(self, name: str) -> None:
        """Note that a camera gives nothing more; that was told as its error."""
        with self._lock:
            self._failed.add(name)
            self._told[name] = CameraHealth("offline", "lost")

    def health(self) -> dict[str, CameraHealth]:
        """Return how each camera does, and tell what no camera could tell itself: that its reader hangs."""
        found = {}
        for name, camera in self._cameras.items():
            health = self._told[name] if name in self._failed else health_of(camera)
            found[name] = health
            if "hung" in (health.cause, self._told[name].cause):
                self._changed(name, health)
        return found

    def _changed(self, name: str, health: CameraHealth) -> None:
        with self._lock:
            before, self._told[name] = self._told[name], health
            same = (before.state, before.cause) == (health.state, health.cause)
        if same:
            return
        if health.state == "online" and self.on_online is not None:
            self.on_online(name)
        if self._tell is None:
            return
        counts = counts_of(self._cameras[name])
        data: dict[str, JsonValue] = {"state": health.state, "cause": health.cause, "before": before.state}
        data.update({key: getattr(counts, key) for key in _COUNTED})
        message = health.message or f"{name} is {health.state}."
        self._tell(f"camera_{health.state}", _SEVERITY[health.state], message, camera=name, data=data)
