"""How many pictures a second are wanted of each camera: asked for anew at every look, as both of what decides may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.root import AgentConfig

_USUAL_FPS = 30.0


class CameraRates:
    """The cameras' own rates, which a stream may change at any time, bounded by the rates in the configuration.

    Args:
        cameras: by name.
        config: returns the configuration in effect.
    """

    def __init__(self, cameras: Mapping[str, Camera], config: Callable[[], AgentConfig]) -> None:
        self._cameras = cameras
        self._config = config

    def of(self, name: str) -> float | None:
        """Return the pictures a second that are wanted of a camera, as far as that is known."""
        asked = next((one.detect_fps for one in self._config().cameras if one.name == name), None)
        known = [rate for rate in (self._cameras[name].info.fps, asked) if rate]
        return min(known, default=None)

    def live(self) -> dict[str, float]:
        """Return those of the live cameras; what is not known is taken for 30."""
        return {name: self.of(name) or _USUAL_FPS for name, camera in self._cameras.items() if camera.info.live}
