"""Hold a running pipeline's cameras back: one, or all of them."""

from __future__ import annotations

from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_targets.errors import InputError


class CameraControls:
    """What can be said to the cameras of a pipeline while it runs."""

    _handover: Handover
    _lines: tuple[CameraLine, ...]

    def pause(self, camera: str | None = None) -> None:
        """Let no frame through until `resume`, of all cameras or of one.

        Live cameras are still read, so that nothing grows old in between, and their frames are counted as dropped with
        the cause `paused`; other sources wait. Frames that were captured before are still processed.

        Raises:
            InputError: there is no such camera.
        """
        self._handover.pause(None if camera is None else self._line(camera), paused=True)

    def resume(self, camera: str | None = None) -> None:
        """Go on with the next frame.

        Raises:
            InputError: there is no such camera.
        """
        self._handover.pause(None if camera is None else self._line(camera), paused=False)

    def limit_rate(self, camera: str, fps: float | None) -> None:
        """Look at no more than so many of a camera's frames a second; the others are dropped with the cause `governed`.

        Args:
            fps: evenly spaced; 0 is none at all, None is all.

        Raises:
            InputError: there is no such camera, or no such rate.
        """
        self._handover.limit(self._line(camera), None if fps is None else WantedFrames(fps).take if fps else _none)

    def _line(self, camera: str) -> CameraLine:
        line = next((line for line in self._lines if line.name == camera), None)
        if line is None:
            known = ", ".join(line.name for line in self._lines)
            raise InputError(f"There is no camera {camera!r}.", hint=f"One of {known}.")
        return line


def _none(_at: float) -> bool:
    return False
