"""What stands before another delivery, and passes on to it whatever it has nothing to say to itself."""

from __future__ import annotations

from collections.abc import Iterable

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts, is_on_own_thread
from edgesdk_agent.delivery.watched_calls import UserCode, user_code_in


class WrappingDelivery:
    """A delivery before another one; what it does with a result is its subclass's `__call__`.

    Args:
        delivery: gets the results.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def start(self) -> None:
        """Start what gets the results."""
        self._delivery.start()

    def close(self, timeout_s: float) -> None:
        """Close what gets the results."""
        self._delivery.close(timeout_s)

    def counts(self) -> DeliveryCounts:
        """Return what became of the results."""
        return self._delivery.counts()

    def is_current(self) -> bool:
        """Say whether the caller is the thread of what gets the results."""
        return is_on_own_thread(self._delivery)

    def user_code(self) -> Iterable[UserCode]:
        """Return the user code that runs on the thread that delivers."""
        return user_code_in(self._delivery)
