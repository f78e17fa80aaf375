"""Several who take the same results: a reporter and hooks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields

from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts, is_on_own_thread
from edgesdk_agent.delivery.watched_calls import UserCode, user_code_in
from edgesdk_agent.frame import FrameResult


class DeliverToEach:
    """Give each result to all, in the order given; none of them raises, so none keeps it from the next."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._deliveries = tuple(deliveries)

    def start(self) -> None:
        """Start all, or none.

        Raises:
            EdgeError: one of them cannot be started.
        """
        with ExitStack() as started:
            for delivery in self._deliveries:
                started.callback(delivery.close, 0.0)
                delivery.start()
            started.pop_all()

    def __call__(self, result: FrameResult) -> None:
        """Give a result to all."""
        for delivery in self._deliveries:
            delivery(result)

    def close(self, timeout_s: float) -> None:
        """Close all; the time is for all together."""
        ends_at = time.monotonic() + timeout_s
        for delivery in self._deliveries:
            delivery.close(max(0.0, ends_at - time.monotonic()))

    def is_current(self) -> bool:
        """Say whether the caller is the thread of one of them."""
        return any(is_on_own_thread(delivery) for delivery in self._deliveries)

    def user_code(self) -> Iterable[UserCode]:
        """Return the user code of all that runs on the thread that delivers."""
        return [one for delivery in self._deliveries for one in user_code_in(delivery)]

    def counts(self) -> DeliveryCounts:
        """Return the sum of all."""
        counts = [delivery.counts() for delivery in self._deliveries]
        return DeliveryCounts(*(sum(getattr(one, field.name) for one in counts) for field in fields(DeliveryCounts)))
