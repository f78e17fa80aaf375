"""One MQTT 5 connection, used by one thread and never again; nobody else uses paho-mqtt's client (`paho_client` makes it).

paho is driven by hand (its socket, our poll): no thread of its own, no queue of its own, no reconnecting of its
own. What is not acknowledged when a connection ends is the queue of reports' business.
"""

from __future__ import annotations

import logging
import select
import ssl
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any

from edgesdk_agent.link.ends import Ends
from edgesdk_agent.link.inbox import inbound
from edgesdk_agent.link.paho_client import connect, new_client, publish_properties
from edgesdk_agent.link.presence import Publication
from edgesdk_agent.link.rush import Rush
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_problem import BrokerProblem
from edgesdk_targets.topics import Channel, Topic

log = logging.getLogger(__name__)

# MQTT 5's "topic name invalid" and "payload format invalid": the same message fails again, as one that is too large.
_NEVER_TAKEN = frozenset({0x90, 0x99})
_TOO_LARGE = 0x95
# A mistake in the broker's rules, which somebody corrects: reports wait until then.
_NOT_AUTHORIZED = 0x87
_SPOKEN = (Channel.EVENT, Channel.RESULT, Channel.TELEMETRY, Channel.SEGMENT)
# Room that a PUBLISH packet needs beside topic and payload, at most: header, packet id, our properties.
_PACKET_OVERHEAD_BYTES = 64


class ConnectionLost(Exception):
    """The connection is gone, or never came."""

    def __init__(self, problem: BrokerProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Connection:
    """A connection to come: `open` it, `step` while it lasts, `leave` it well, `drop` it in any case."""

    def __init__(self, ends: Ends, session: int) -> None:
        self._ends = ends
        self._session = session
        self._client_id = ends.client_id
        self._topics = {channel: str(Topic(ends.presence.node, channel)) for channel in _SPOKEN}
        self._urgent: deque[Publication] = deque()
        # Sequence number by packet id; 0 for what does not come from the queue.
        self._outstanding: dict[int, int] = {}
        self._window = ends.settings.in_flight
        self._packet_bytes = 0
        self._accepted = False
        self._leaving = False
        self._rush = Rush()
        self._behind = False
        self._problem: BrokerProblem | None = None
        self._progress_at = time.monotonic()
        client = self._client = new_client(ends, session)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    def open(self, stopping: threading.Event) -> None:
        """Connect and wait for the broker's yes. Raises ConnectionLost."""
        settings, address = self._ends.settings, self._ends.address
        try:
            connect(self._client, settings, address)
        except (OSError, ValueError) as error:
            raise ConnectionLost(broker_problem.from_exception(address, error)) from error
        deadline = time.monotonic() + settings.connect_timeout_s
        while not self._accepted:
            left = deadline - time.monotonic()
            if left <= 0 or stopping.is_set():
                raise ConnectionLost(broker_problem.from_exception(address, TimeoutError()))
            self._turn(left)
        self._listen()
        self.say(*self._ends.presence.opening(self._session))

    def _listen(self) -> None:
        topics = self._ends.inbox.topics(self._ends.presence.node)
        if topics and self._client.subscribe([(topic, 1) for topic in topics])[0] != 0:
            raise ConnectionLost(self._problem or broker_problem.lost(self._ends.address))

    def say(self, *publications: Publication) -> None:
        """Send these before any report."""
        self._urgent.extend(publications)

    def step(self) -> None:
        """Send what may be sent, then wait for something to happen. Raises ConnectionLost."""
        # Where the broker cannot follow, or a backlog drains, what may be sent is sent as soon as it may.
        if not self._behind and (pause_s := self._rush.pause_s):
            time.sleep(pause_s)
        self._send()
        self._behind = len(self._outstanding) >= self._window
        self._turn(min(self._ends.settings.keepalive_s / 4, self._ends.queue.due_in_s()))
        overdue = time.monotonic() - self._progress_at > self._ends.settings.ack_timeout_s
        if self._outstanding and overdue:
            raise ConnectionLost(broker_problem.from_exception(self._ends.address, TimeoutError()))

    def leave(self, timeout_s: float) -> None:
        """Say `offline`, wait for its acknowledgement, and disconnect so that the will is not said."""
        deadline = time.monotonic() + timeout_s
        self._leaving = True
        self.say(self._ends.presence.closing(self._session))
        while (self._urgent or self._outstanding) and time.monotonic() < deadline:
            self._send()
            self._turn(deadline - time.monotonic())
        self._client.disconnect()
        while self._client.socket() is not None and time.monotonic() < deadline:
            self._turn(deadline - time.monotonic())

    def drop(self) -> None:
        """Close the socket, whatever state it is in."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _send(self) -> None:
        self._urgent.extend(self._ends.inbox.take_said())
        while len(self._outstanding) < self._window:
            if self._urgent:
                self._publish(self._urgent.popleft(), 0)
                continue
            taken = () if self._leaving else self._ends.queue.take(1)
            if not taken:
                return
            self._rush.sent(time.monotonic())
            report = taken[0]
            self._publish(Publication(self._topics[report.channel], report.body), report.seq)

    def _publish(self, publication: Publication, seq: int) -> None:
        size = len(publication.body.payload) + len(publication.topic) + _PACKET_OVERHEAD_BYTES
        if self._packet_bytes and size > self._packet_bytes:
            self._refused(seq, _TOO_LARGE)
            return
        if not self._outstanding:
            self._progress_at = time.monotonic()
        properties = publish_properties(publication.body.content_type, publication.expires_s)
        info = self._client.publish(
            publication.topic, publication.body.payload, qos=1, retain=publication.retain, properties=properties
        )
        if info.rc != 0:
            raise ConnectionLost(self._problem or broker_problem.lost(self._ends.address))
        self._outstanding[info.mid] = seq

    def _turn(self, timeout_s: float) -> None:
        """Wait for the socket or the wake signal, and let paho do its part once."""
        sock: Any = self._client.socket()
        if sock is not None:
            # Decrypted bytes that wait inside TLS are invisible to the system.
            waiting = bool(isinstance(sock, ssl.SSLSocket) and sock.pending())
            # One call of the system; an epoll of `selectors` takes five, and paho changes what is waited for at each turn.
            poll = select.poll()
            poll.register(sock, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
            poll.register(self._ends.wake, select.POLLIN)
            broker = sock.fileno()
            ready = {number for number, _ in poll.poll(0 if waiting else max(timeout_s, 0) * 1e3)}
            # Nothing is asked of what has nothing: at each frame and each acknowledgement one of the two is silent.
            if ready - {broker}:
                self._ends.wake.clear()
            try:
                if waiting or broker in ready:
                    self._client.loop_write()
                    self._client.loop_read()
                self._client.loop_misc()
            except Exception as error:  # the library's border: a packet that it cannot parse raises anything
                raise ConnectionLost(broker_problem.closed(self._ends.address)) from error
        if self._problem is not None and not (self._leaving and self._client.socket() is None):
            raise ConnectionLost(self._problem)

    def _refused(self, seq: int, code: int) -> None:
        problem = broker_problem.from_reason_code(self._ends.address, code, who=self._client_id)
        self._ends.queue.refuse(seq)
        self._ends.note(problem=problem)
        log.warning("%s %s", problem.message, problem.hint)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._problem = broker_problem.from_reason_code(self._ends.address, code.value, who=self._client_id)
            return
        self._accepted = True
        self._window = min(self._window, getattr(properties, "ReceiveMaximum", self._window))
        self._packet_bytes = getattr(properties, "MaximumPacketSize", 0)

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, code: Any, _properties: Any) -> None:
        if self._problem is not None:
            return
        if flags.is_disconnect_packet_from_server and code.is_failure:
            self._problem = broker_problem.from_reason_code(self._ends.address, code.value, who=self._client_id)
        else:
            explain = broker_problem.lost if self._accepted else broker_problem.closed
            self._problem = explain(self._ends.address)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: Any, _properties: Any) -> None:
        if any(code.is_failure for code in codes):
            # Reports go out all the same; whoever steers it would wait for answers in vain.
            log.warning("The broker does not let this device listen to its own topics; allow edgesdk/1/%u/down/#")

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        self._ends.inbox.deliver(inbound(message))

    def _on_publish(self, _client: Any, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        seq = self._outstanding.pop(mid, 0)
        self._progress_at = time.monotonic()
        if not code.is_failure:
            self._ends.queue.done(seq)
            self._ends.note(acknowledged=1)
        elif code.value in _NEVER_TAKEN:
            self._refused(seq, code.value)
        else:
            problem = broker_problem.from_reason_code(self._ends.address, code.value, who=self._client_id)
            if code.value == _NOT_AUTHORIZED:
                problem = replace(
                    problem, hint="Allow edgesdk/1/%u/up/# in the broker's rules; reports wait until then."
                )
            self._problem = problem
