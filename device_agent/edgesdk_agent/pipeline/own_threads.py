"""Whoever a pipeline waits for cannot wait for the pipeline: its callbacks, and a loop that takes its results."""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk_agent.delivery.delivery import Delivery, is_on_own_thread
from edgesdk_agent.pipeline.crew import Crew
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_agent.pipeline.result_queue import ResultQueue
from edgesdk_targets.errors import InputError


class OwnThreads:
    """Refuse what would wait for itself.

    Args:
        crew: the pipeline's own threads, on which plain callbacks run.
        delivery: takes the results, perhaps on a thread of its own.
        results: what a loop takes them from.
        policies: of each camera.
    """

    def __init__(self, crew: Crew, delivery: Delivery, results: ResultQueue, policies: Mapping[str, Policy]) -> None:
        self._crew = crew
        self._delivery = delivery
        self._results = results
        self._policies = policies

    def refuse_swap(self) -> None:
        """Let no callback swap the model on a thread that the old model's last frame waits for.

        Raises:
            InputError: the calling thread is one of the pipeline's.
        """
        # A hook on a thread of its own may: the pipeline does not wait for it without a limit.
        if self._crew.is_member():
            message = "A callback cannot swap its own pipeline's model: it would wait for itself."
            raise InputError(message, hint="Swap from another thread.")

    def refuse_wait(self) -> None:
        """Let nobody wait without a limit for an end that comes after him.

        Raises:
            InputError: the calling thread is a callback's; or that of a loop, and the pipeline waits until it takes the next.
        """
        if self._crew.over.is_set():
            return
        if self._crew.is_member() or is_on_own_thread(self._delivery):
            message = "A callback cannot wait for its own pipeline's end: it would wait for itself."
            raise InputError(message, hint="Wait on another thread; `request_stop` ends it from a callback.")
        if self._results.read_here() and "every_frame" in self._policies.values():
            message = "A loop over a pipeline's results cannot wait for its end: it would wait for itself."
            raise InputError(message, hint="Leave the loop first; `request_stop` ends the pipeline from within.")
