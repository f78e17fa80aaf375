"""Whose prepared input a free lane takes next, and whether it waits for a newer one; under the hand-over's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgesdk_agent.frame import Frame
from edgesdk_agent.pipeline.camera_line import CameraLine


class LaneTurn:
    """Serve the camera whose last turn is longest ago.

    Args:
        lines: one for each camera.
        clock: monotonic seconds.
    """

    def __init__(self, lines: Sequence[CameraLine], clock: Callable[[], float]) -> None:
        self._lines = tuple(lines)
        self._fresh = any(line.replaces for line in lines)
        self._clock = clock
        self._served = 0
        # The frame that a lane waits to see replaced, and until when.
        self._outwaited: Frame | None = None
        self._await_until = 0.0

    def next_line(self, undelivered: int, lanes: int) -> CameraLine | None:
        """Return the camera to serve; None where none is ready, or too many results wait for the one before them.

        Args:
            undelivered: results under way or waiting.
            lanes: of the model.
        """
        # Results that wait for the one before them are bounded; few where they would only grow old.
        if undelivered >= lanes + (1 if self._fresh else lanes):
            return None
        chosen = None
        for line in self._lines:
            if line.inputs and (chosen is None or line.served < chosen.served):
                home = line.inputs[0].home
                if home.running < home.lanes:
                    chosen = line
        return chosen

    def patience_s(self, line: CameraLine, lanes: int) -> float:
        """Return how much longer to wait for a newer frame than the one that is ready; 0 or less is not at all.

        Nor while another camera's input is ready: a lane that sleeps beside work that is there gives up some of the rate.
        """
        if not (line.replaces and line.rhythm.matters):
            return 0.0
        if any(other.inputs for other in self._lines if other is not line):
            return 0.0
        frame, now = line.inputs[0].frame, self._clock()
        assert frame is not None  # noqa: S101  (a cell that is ready holds a frame)
        if self._outwaited is None:
            self._outwaited = frame
            self._await_until = now + line.rhythm.worth_waiting_s(now, frame.captured_at, lanes)
        return self._await_until - now if self._outwaited is frame else 0.0

    def taken(self, line: CameraLine) -> None:
        """Note that a lane took the input of this camera."""
        self._outwaited = None
        line.served, self._served = self._served, self._served + 1
