"""The connection to the broker, kept for as long as the agent runs.

One thread owns it: it connects, says who is there, sends what the queue of reports holds, and begins again with
jittered delays when the connection is lost. A report leaves the queue when the broker acknowledged it, or of an outbox when a
collector has it; what is on its way when the connection is lost goes back to its old place. So reports arrive at least
once, and the agent never waits for the broker.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.link.connection import Connection, ConnectionLost
from edgesdk_agent.link.ends import Ends
from edgesdk_agent.link.inbox import Inbound, Inbox
from edgesdk_agent.link.presence import Presence
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.link.settings import LinkSettings, LinkStatus
from edgesdk_agent.wake import Wake
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem
from edgesdk_targets.errors import MissingExtra
from edgesdk_targets.messages import Ack, decode
from edgesdk_targets.topics import Channel

if TYPE_CHECKING:
    from edgesdk_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)

# So many connections in a row that were lost soon after they were made are no accident.
_UNSTEADY_AFTER = 3
# Problems that a connection shows only after it was taken: each stands, and is told once, until one has lasted.
_ONLY_SEEN_LATER = frozenset({"unsteady", "forbidden"})


class Link:
    """Delivers the queue's reports to a broker.

    Args:
        address: the broker.
        queue: what to deliver.
        presence: what to say on connecting and on leaving.
        tls: needed where the address says TLS.
        settings: times and limits.
        inbox: who listens to what is said to this device, and what is to be said beside the reports.

    Raises:
        MissingExtra: paho-mqtt is not installed.
    """

    def __init__(
        self,
        address: BrokerAddress,
        queue: ReportQueue | Outbox,
        presence: Presence,
        *,
        tls: ssl.SSLContext | None = None,
        settings: LinkSettings | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        try:
            import paho.mqtt.client  # noqa: F401
        except ImportError as error:
            raise MissingExtra("paho-mqtt", "agent") from error
        if address.tls and tls is None:
            tls = ssl.create_default_context()
        self._settings = settings or LinkSettings()
        inbox = inbox or Inbox()
        if queue.durable:
            inbox.listen(Channel.ACK, self._acknowledged)
        self._ends = Ends(address, tls, self._settings, queue, presence, Wake(), self._note, inbox)
        self._queue = queue
        self._status = LinkStatus()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._stop_within_s = 0.0
        self._refresh = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesdk-link", daemon=True)

    def start(self, *, require_within_s: float | None = None) -> None:
        """Begin to connect, and return at once unless a connection is required.

        Args:
            require_within_s: wait this long for the first connection; a reason that time does not mend ends the wait.

        Raises:
            NotConnected: it was required, and there is none; nothing is left running.
        """
        self._queue.listen(self._ends.wake.set)
        self._ends.inbox.wake_with(self._ends.wake.set)
        self._thread.start()
        if require_within_s is None:
            return
        deadline = time.monotonic() + require_within_s
        with self._changed:
            while not self._status.connected:
                problem, left = self._status.problem, deadline - time.monotonic()
                if left <= 0 or (problem is not None and problem.permanent):
                    break
                self._changed.wait(left)
            else:
                return
        self.stop(0.0)
        timeout = BrokerProblem("timeout", f"{self._ends.address} did not answer within {require_within_s:g} s.")
        raise (problem or timeout).error()

    def status(self) -> LinkStatus:
        with self._changed:
            return self._status

    def refresh(self) -> None:
        """Say birth, state and what is installed again, after a change of the presence."""
        self._refresh.set()
        self._ends.wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything reported so far is acknowledged; False when the time is up first."""
        return self._queue.wait_empty(timeout_s)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Say `offline` and disconnect; what is still queued stays there. May be called twice."""
        self._stop_within_s = timeout_s
        self._stopping.set()
        self._ends.wake.set()
        if self._thread.is_alive():
            # A name server that does not answer may hold the thread longer; it ends with the process then.
            self._thread.join(timeout_s + self._settings.connect_timeout_s)
        if not self._thread.is_alive():
            self._queue.listen(_nobody)
            self._ends.inbox.wake_with(_nobody)
            self._ends.wake.close()

    def _acknowledged(self, message: Inbound) -> None:
        """A collector tells what it has stored."""
        ack = decode(message.topic, message.payload, message.content_type)
        if isinstance(ack, Ack):
            self._queue.acknowledge(ack)

    def _note(self, *, acknowledged: int = 0, **changes: Any) -> None:
        """Change the status; only the link's own thread does."""
        with self._changed:
            total = self._status.acknowledged + acknowledged
            self._status = replace(self._status, acknowledged=total, **changes)
            self._changed.notify_all()

    def _run(self) -> None:
        backoff = Backoff(self._settings.retry_first_s, self._settings.retry_limit_s)
        session = short_lived = 0
        while not self._stopping.is_set():
            session += 1
            self._note(session=session)
            problem, lasted_s = self._one_connection(session)
            self._queue.give_back()
            if problem is None or self._stopping.is_set():
                break
            if lasted_s >= self._settings.steady_after_s:
                backoff.reset()
            short_lived = short_lived + 1 if 0 < lasted_s < self._settings.steady_after_s else 0
            if short_lived >= _UNSTEADY_AFTER and problem.reason == "lost":
                problem = broker_problem.unsteady(self._ends.address, self._ends.client_id)
            self._lost(problem)
            self._stopping.wait(backoff.next_s())
        self._note(connected=False)

    def _lost(self, problem: BrokerProblem) -> None:
        # Once for each new reason: a broker that is away for a week must not fill the log.
        if self._status.problem != problem:
            log.warning("%s %s", problem.message, problem.hint)
        self._note(connected=False, problem=problem)

    def _one_connection(self, session: int) -> tuple[BrokerProblem | None, float]:
        """Connect, deliver until the connection is lost or we are told to stop; return why, and how long it lasted."""
        connection = Connection(self._ends, session)
        since: float | None = None
        problem: BrokerProblem | None = None
        try:
            connection.open(self._stopping)
            since = time.monotonic()
            steady = self._status.problem is None or self._status.problem.reason not in _ONLY_SEEN_LATER
            self._note(connected=True, problem=None if steady else self._status.problem)
            log.info("Connected to %s", self._ends.address)
            while not self._stopping.is_set():
                if self._refresh.is_set():
                    self._refresh.clear()
                    connection.say(*self._ends.presence.opening(session))
                connection.step()
                if not steady and time.monotonic() - since >= self._settings.steady_after_s:
                    steady = True
                    self._note(problem=None)
            connection.leave(self._stop_within_s)
        except ConnectionLost as lost:
            problem = lost.problem
        except Exception as error:  # the thread's top: whatever it is, the next attempt begins anew
            log.exception("The link failed")
            problem = BrokerProblem("lost", f"The link to {self._ends.address} failed: {type(error).__name__}.")
        finally:
            connection.drop()
        return problem, 0.0 if since is None else time.monotonic() - since


def _nobody() -> None:
    pass
