"""A broker that dies without a word, and comes back empty at the same address."""

from __future__ import annotations

from edgesdk.soak.field import Field


class BrokerKill:
    """SIGKILL to the broker, which is started again at the end."""

    name = "broker-kill"
    lasts_s = 8.0
    may_end_agent = False
    may_lose: tuple[str, ...] = ()

    def missing(self, field: Field) -> str:  # noqa: ARG002  (the same for all)
        return ""

    def begin(self, field: Field) -> None:
        field.broker.kill()

    def end(self, field: Field) -> None:
        if not field.broker.pid:
            field.broker.start()
