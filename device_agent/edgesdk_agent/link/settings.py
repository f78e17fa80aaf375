"""How the link to the broker behaves, and how it is doing."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.broker_problem import BrokerProblem


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How the link behaves.

    Attributes:
        client_id: the name at the broker; the node's unless given.
        keepalive_s: how soon a dead connection is noticed by both sides, at most about twice this.
        will_delay_s: how long the broker waits before it tells of our death; a shorter break is not told at all.
        session_s: how long the broker remembers the connection; longer than the will's delay, or the will comes early.
        connect_timeout_s: for each of: TCP and TLS, the broker's answer.
        ack_timeout_s: without any acknowledgement for this long, while some are due, the connection is given up.
        in_flight: most messages sent and not acknowledged; the broker may allow fewer.
        retry_first_s, retry_limit_s: delays between attempts, doubled each time, jittered.
        steady_after_s: a connection that lasted so long was a good one, and delays begin with the shortest again.
    """

    client_id: str = ""
    keepalive_s: int = 15
    will_delay_s: int = 10
    session_s: int = 60
    connect_timeout_s: float = 5.0
    ack_timeout_s: float = 30.0
    in_flight: int = 20
    retry_first_s: float = 1.0
    retry_limit_s: float = 60.0
    steady_after_s: float = 10.0


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """How the link is doing.

    Attributes:
        session: connections tried since the start.
        acknowledged: messages that the broker took, retained ones included.
        problem: why there is no connection, or the last thing that the broker refused; None where all is well.
    """

    connected: bool = False
    session: int = 0
    acknowledged: int = 0
    problem: BrokerProblem | None = None
