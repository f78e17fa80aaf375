"""What the pipeline asks of whoever takes its results.

A delivery is started before the first frame, is called with each result in order and one at a time by the thread that
has the result, and is closed after the last. It never raises for what the user's code does: that is counted, and told
as a change of state. Each result that was given ends in exactly one place:
given == delivered + failed + hung + dropped + filtered + waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from edgesdk_agent.frame import FrameResult

# `well` → `failing` (it raises), `hung` (it does not return) or `crashed` (its process ended); `given_up` is for good.
HookState = Literal["well", "failing", "hung", "crashed", "given_up"]


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What became of the results that were given.

    Attributes:
        delivered: the hook took them and returned.
        failed: the hook raised, or its process ended, with them.
        hung: the hook did not return in its time; what it does with them later is not waited for.
        dropped: the hook never saw them: it was slower than the frames, hung or being restarted, or the end came.
        waiting: handed over and not yet begun, or begun and not yet over.
        filtered: a stage kept them back on purpose.
    """

    delivered: int = 0
    failed: int = 0
    hung: int = 0
    dropped: int = 0
    waiting: int = 0
    filtered: int = 0

    @property
    def given(self) -> int:
        return self.delivered + self.failed + self.hung + self.dropped + self.filtered + self.waiting

    def to_json(self) -> dict[str, int]:
        """Return the stable keys that `--json` and telemetry print."""
        return {
            "delivered": self.delivered,
            "failed": self.failed,
            "hung": self.hung,
            "dropped": self.dropped,
            "filtered": self.filtered,
            "waiting": self.waiting,
        }


class Delivery(Protocol):
    """Takes the results of a pipeline."""

    def start(self) -> None:
        """Be ready for results.

        Raises:
            EdgeError: the hook cannot be used at all: there is none of this name, or its process does not start.
        """
        ...

    def __call__(self, result: FrameResult) -> None:
        """Take one result; its picture is borrowed until this returns."""
        ...

    def close(self, timeout_s: float) -> None:
        """Deliver what waits, within the time; drop the rest, and end; a `start` that is under way elsewhere is broken off."""
        ...

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        ...


@runtime_checkable
class HasThread(Protocol):
    """A delivery that calls its hook on a thread of its own."""

    def is_current(self) -> bool:
        """Say whether the calling thread is that one."""
        ...


def is_on_own_thread(delivery: Delivery) -> bool:
    """Say whether the caller is the delivery's own thread, which can therefore not wait for the delivery's end."""
    return isinstance(delivery, HasThread) and delivery.is_current()
