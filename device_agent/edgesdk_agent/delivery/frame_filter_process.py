"""User code before inference, in a process for each camera: what it does with one camera's frames is no other one's affair.

    camera's thread: a frame ─ copied into shared memory ─▶ child: on_frame(frame) ─ writes there ─▶ the picture, as it lies there

The camera's own thread of the pipeline waits for the answer; capture, inference and all other cameras go on. Each picture of the
pipeline has its own memory, so that what the child made of it stays as it is until the frame's result is delivered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from edgesdk_agent.delivery.child_call import ChildCall
from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.frame_filter import Left
from edgesdk_agent.delivery.hook_errors import HookKeptBack, count_of
from edgesdk_agent.delivery.hook_limits import check_timeout
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.stage_answers import returned
from edgesdk_agent.delivery.tally import HookNews, Tally
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S, UserCode
from edgesdk_agent.frame import Frame
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


class ProcessFrameFilter:
    """Ask the user's code, in a process for each camera, what the model is to see of a frame; a filter is of one pipeline.

    Args:
        stage: `package.module:function`, or a function that can be imported by its name; see `FrameFilter` for what it is
            given and returns.
        name: of the filter, for the log and for `on_news`; by the function unless given.
        timeout_s: a call that takes longer hangs: its frame is lost, and its process ended and started again.
        folder: where to look for the module after everything else.
        on_news: is told each change of state, of each camera's process.
        budget: how often each may be started again.

    Raises:
        InputError: the stage has no name by which it could be imported, or `timeout_s` is out of its bounds.
    """

    def __init__(
        self,
        stage: str | Callable[[Frame], Array | None],
        *,
        name: str = "",
        timeout_s: float = USUAL_TIMEOUT_S,
        folder: Path | None = None,
        on_news: Callable[[HookNews], None] | None = None,
        budget: Callable[[], RestartBudget] = RestartBudget,
    ) -> None:
        check_timeout("A stage", "timeout_s", timeout_s)
        self._timeout_s = timeout_s
        self._hook = HookName.given(stage)
        self._name = name or str(self._hook)
        self._folder = folder
        self._on_news = on_news
        self._budget = budget
        self._askers: dict[str, _Asker] = {}

    def askers(self, places: Mapping[str, int]) -> Mapping[str, _Asker]:
        """Return who asks about each camera's frames, by the camera's name; once.

        Args:
            places: by camera, in how many places its frames are given, numbered from 0.

        Raises:
            InputError: a pipeline has them already.
        """
        if self._askers:
            raise InputError(f"The stage {self._name} is of one pipeline.", hint="Make a new one for each pipeline.")
        self._askers = {camera: self._asker(camera, count) for camera, count in places.items()}
        return self._askers

    def _asker(self, camera: str, places: int) -> _Asker:
        tally = Tally(self._name, self._on_news, kind="stage")
        memories = [SharedPicture() for _ in range(places)]
        lost = f"no frame of {camera} is shown to the model"
        child = ChildCall(
            self._hook, "on_frame", self._folder, memories, self._timeout_s, tally, lost=lost, budget=self._budget()
        )
        return _Asker(child, memories, tally)

    def counts(self) -> DeliveryCounts:
        """Return how many frames went on (delivered), were left out (filtered), failed, hung, or had nobody to ask (dropped)."""
        counts = [asker.tally.counts() for asker in self._askers.values()]
        return DeliveryCounts(*(sum(getattr(one, field.name) for one in counts) for field in fields(DeliveryCounts)))

    def user_code(self) -> Iterable[UserCode]:
        """Return this filter."""
        return (self,)

    def under_way(self) -> str:
        """Return the name of the stage while a process is asked."""
        return self._name if any(asker.tally.counts().waiting for asker in self._askers.values()) else ""

    def left_out(self) -> dict[str, str]:
        """Return the cameras whose process was given up, and the stage's name."""
        return {camera: self._name for camera, asker in self._askers.items() if asker.child.given_up}


class _Asker:
    """Asks one camera's process."""

    def __init__(self, child: ChildCall, memories: list[SharedPicture], tally: Tally) -> None:
        self.child = child
        self.tally = tally
        self._memories = memories
        self.open, self.abort = child.open, child.abort

    def __call__(self, frame: Frame, place: int) -> Array | Left:
        self.tally.given()
        try:
            seen = self._asked(frame, self._memories[place])
        except Exception as error:  # noqa: BLE001  (a plug-in's border: whatever came back, the camera goes on)
            count_of(error, f"at frame {frame.seq} of {frame.camera}", self.tally)()
            return "filtered" if isinstance(error, HookKeptBack) else "filter_failed"
        self.tally.delivered()
        return seen

    def _asked(self, frame: Frame, memory: SharedPicture) -> Array:
        memory.hold(frame.image)
        shape = json.loads(returned(self.child.ask(frame, memory)))
        return memory.seen(tuple(shape), "|u1")

    def close(self) -> None:
        self.child.close()
        for memory in self._memories:
            memory.close()
