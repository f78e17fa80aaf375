"""Where the pipeline's threads meet: one lock, and what each thread may take next.

    capture thread of each camera ─ pictures ─▶ preprocess thread ─ prepared inputs ─▶ lanes ─ results in order ─▶

Preallocated cells change places between the threads; nothing is copied, and nobody waits who has something to do:

- Preprocessing takes the cameras in turn, of those that have a picture and room for it. It is done by one thread at a
  time: by its own, beside inference, or by the lanes, where they compute on all cores themselves or start inferences
  ahead, or the model is so quick that a thread between costs more. Where a lane sleeps, a live camera's own thread prepares
  what it has just read: one thread is woken for the frame, and not two.
- Where pictures are asked about first, that camera is next that has had its answer for longest.
- A free lane serves the camera whose last turn is longest ago.
- Of a `freshest` camera the newest picture and the newest *prepared input* are replaced until they are taken. An input
  that was prepared when the last inference began, and then waited for it, would be one whole inference old.
- A result is delivered when all those before it are, by the lane that completes the row; others go on meanwhile, until
  a bounded number of results waits.
- Every captured frame is counted exactly once as processed or dropped, with its cause.

What each kind of thread is given and gives back is in a file of its own: `capture_side`, `ask_side`, `preprocess_side`,
`infer_side`. Here is what concerns all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from edgesdk_agent.pipeline.ask_side import AskSide
from edgesdk_agent.pipeline.infer_side import InferSide
from edgesdk_agent.pipeline.model_inputs import ModelInputs, Slot
from edgesdk_targets.errors import SessionFailed


class Handover(AskSide, InferSide):
    """Hand preallocated cells from thread to thread.

    Raises:
        InputError: there are no slots, or no lane.
    """

    def inputs_of(self, slots: Sequence[Slot], lanes: int) -> ModelInputs:
        """Return what `swap` takes.

        Raises:
            InputError: there are no slots, or no lane.
        """
        return ModelInputs(slots, lanes, self._fresh)

    def swap(self, successor: ModelInputs, timeout_s: float) -> None:
        """Let another model's slots take over: what is prepared goes to the old model, the next frame to the new one.

        Returns when the old model has done its last frame and may be closed.

        Raises:
            SessionFailed: the old model is still at work after `timeout_s`; the new one has taken over all the same.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            old, self._model = self._model, successor
            if self._others_may_prepare:
                self._choose_who_prepares()
            self._preparers.wake_one()
            while not old.idle:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SessionFailed(
                        f"The model that was replaced is still at work after {timeout_s:g} s.",
                        hint="Do not close it yet; restart the agent if it stays so.",
                    )
                self._idle.wait(left)

    def keep_images(self, wanted: bool) -> None:
        """Let results carry their picture from now on, or no longer."""
        with self._lock:
            self._keep_image = wanted

    def abort(self) -> None:
        """End every thread, and drop what is not in inference yet."""
        with self._lock:
            self._aborted = True
            for line in self._lines:
                line.stopping = True
                for picture in line.pictures:
                    line.meter.dropped("stopped")
                    line.free.append(picture)
                line.pictures.clear()
                while line.inputs:
                    self._input_dropped(line, line.inputs.popleft(), "stopped")
                line.writable.wake_one()
                if line.askable is not None:
                    line.askable.wake_one()
            self._preparable.wake_one()
            self._preparers.wake_all()
            self._inferable.wake_all()
