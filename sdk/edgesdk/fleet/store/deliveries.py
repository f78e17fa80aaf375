"""How each channel does: what it took last, what waits for it, and why it did not take the last that it refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from edgesdk.fleet.store.tables import notifications


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What became of one channel's notices.

    Attributes:
        sent, waiting, failed: how many; of one notice each device counts.
        sent_ms: when it took the last one; refused_ms: when the last one was meant for it that it did not take.
        problem: why not.
    """

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    sent_ms: int | None = None
    refused_ms: int | None = None
    problem: str = ""

    @property
    def troubled(self) -> bool:
        """Whether the last that is known of it is a refusal."""
        return self.refused_ms is not None and (self.sent_ms is None or self.refused_ms > self.sent_ms)


def deliveries(connection: Connection) -> dict[int, Deliveries]:
    """Return how each channel does that was ever told anything, by its row."""
    n = notifications.c
    counted = select(n.channel, n.state, func.count(), func.max(n.sent_ms)).group_by(n.channel, n.state)
    found: dict[int, Deliveries] = {}
    for channel, state, count, sent_ms in connection.execute(counted):
        so_far = found.get(channel, Deliveries())
        if state == "sent":
            so_far = replace(so_far, sent=int(count), sent_ms=sent_ms)
        elif state == "waiting":
            so_far = replace(so_far, waiting=int(count))
        elif state == "failed":
            so_far = replace(so_far, failed=int(count))
        found[channel] = so_far
    newest = select(func.max(n.id)).where(n.problem != "", n.state != "sent").group_by(n.channel)
    refused = select(n.channel, n.created_ms, n.problem).where(n.id.in_(newest))
    for channel, at_ms, problem in connection.execute(refused):
        found[channel] = replace(found[channel], refused_ms=at_ms, problem=problem)
    return found
