"""Before preprocessing, where the user's stage runs elsewhere: each camera has a thread that asks about its frames, one at a time.

A camera waits for its own answers only. Once there is one, its frame is prepared on the same thread, in turn with other cameras'.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from edgesdk_agent.delivery.asked_frames import FrameAsker
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.preprocess import PreprocessStage
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.errors import DeviceError, EdgeError


class AskStage:
    """Ask about each frame of a camera, and prepare what the model is to see.

    Args:
        line: the camera's.
        asker: says what the model is to see.
        preprocess: prepares it.
        clock: monotonic seconds.
        profile: records when each frame was asked about, where one is wanted.
    """

    def __init__(
        self,
        line: CameraLine,
        handover: Handover,
        asker: FrameAsker,
        preprocess: PreprocessStage,
        clock: Callable[[], float],
        profile: Timeline | None = None,
    ) -> None:
        self._line = line
        self._handover = handover
        self._asker = asker
        self._preprocess = preprocess
        self._clock = clock
        self._profile = profile
        self._opened = threading.Event()
        self._refused: EdgeError | None = None

    def wait_until_open(self) -> None:
        """Wait until there is somebody to ask.

        Raises:
            EdgeError: there will be nobody.
        """
        self._opened.wait()
        if self._refused is not None:
            raise self._refused

    def abort(self) -> None:
        """Break off what is asked just now; from another thread."""
        self._asker.abort()

    def run(self) -> None:
        """Ask and prepare until nothing more is captured."""
        try:
            # On this thread: a child process ends with the thread that started it.
            self._asker.open()
        except EdgeError as error:
            self._refused = error
            return
        except Exception as error:  # noqa: BLE001  (a thread's top: whoever started it is told)
            self._refused = DeviceError(f"A process for {self._line.name}'s frames cannot be started: {error}")
            return
        finally:
            self._opened.set()
        while (picture := self._handover.next_to_ask(self._line)) is not None:
            self._ask(picture)

    def end(self) -> None:
        """Let what was prepared be inferred to the end."""
        self._asker.close()
        self._handover.asking_ended()

    def _ask(self, picture: FrameCell) -> None:
        frame, line = picture.frame, self._line
        assert frame is not None  # noqa: S101  (a picture that was captured holds a frame)
        began = self._clock()
        seen = self._asker(frame, picture.place)
        ended = self._clock()
        if self._profile is not None:
            self._profile.add("on_frame", frame.camera, frame.seq, began, ended)
        if isinstance(seen, str):
            line.meter.dropped(seen)
            self._handover.picture_back(line, picture)
            return
        # Whoever sees this frame's picture from here on, sees it filtered.
        picture.frame = replace(frame, image=seen)
        cell = self._handover.room_for_asked(line, picture)
        if cell is not None:
            self._preprocess.prepare(cell, ended - began)
