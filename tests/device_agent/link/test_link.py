"""The link against servers that misbehave; real brokers are in tests/system."""

from __future__ import annotations

import contextlib
import logging
import select
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from edgesdk_agent.link.link import Link
from edgesdk_agent.link.presence import Identity, Presence
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_agent.link.settings import LinkSettings
from edgesdk_agent.wake import Wake
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import NotConnected
from edgesdk_targets.messages import Encoded
from edgesdk_targets.topics import Node

FAST = LinkSettings(connect_timeout_s=0.3, retry_first_s=0.01, retry_limit_s=0.02)
# Where the server answers: a machine that stands still for a moment is not to cost a connection.
PATIENT = replace(FAST, connect_timeout_s=10.0)
CONNACK = bytes([0x20, 3, 0, 0, 0])


def _link(address: BrokerAddress, settings: LinkSettings = FAST) -> Link:
    queue = ReportQueue()
    presence = Presence(Identity(Node("cam1")), epoch=queue.epoch, next_seq=lambda: queue.next_seq)
    return Link(address, queue, presence, settings=settings)


@contextlib.contextmanager
def _server(serve: Callable[[socket.socket], None]) -> Iterator[BrokerAddress]:
    """Accept connections one after another and hand each to `serve`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield BrokerAddress("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def _wait_for_end(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def _refused(link: Link, within_s: float = 0.5) -> NotConnected:
    with pytest.raises(NotConnected) as refused:
        link.start(require_within_s=within_s)
    assert refused.value.hint
    assert not any(t.name == "edgesdk-link" for t in threading.enumerate()), "nothing is left running"
    return refused.value


def test_no_broker_is_told_with_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = BrokerAddress("127.0.0.1", unused.getsockname()[1])
        error = _refused(_link(address))
    assert error.message == f"No broker answers at {address}."
    assert "edgesdk fleet broker" in error.hint


def test_an_unknown_host_is_told() -> None:
    # How a machine without a name server answers differs; that it is told does not.
    assert "'no-such-host.invalid'" in _refused(_link(BrokerAddress("no-such-host.invalid")), 1).message


def test_a_host_name_that_cannot_be_one_is_told() -> None:
    assert "is not known" in _refused(_link(BrokerAddress("x" * 70 + ".invalid")), 3600).message


def test_a_server_that_says_nothing_is_given_up() -> None:
    with _server(_wait_for_end) as address:
        assert "did not answer in time" in _refused(_link(address), 1).message


def test_a_server_that_hangs_up_is_told() -> None:
    with _server(lambda connection: None) as address:
        assert "closed the connection without an answer" in _refused(_link(address)).message


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x20\xff\xff\xff\xff\xff", b"\x20\x03\x00\x00\x05"])
def test_a_server_of_another_kind_is_told_and_crashes_nothing(junk: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(junk)
        _wait_for_end(connection)

    with _server(serve) as address:
        assert str(address) in _refused(_link(address), 1).message


def test_an_old_broker_is_told_to_be_old() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(bytes([0x20, 2, 0, 1]))
        _wait_for_end(connection)

    with _server(serve) as address:
        assert "MQTT 5" in str(_refused(_link(address), 1))


def test_tls_against_a_plain_server_is_told() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"\x20\x02\x00\x01plain text, not TLS")
        _wait_for_end(connection)

    with _server(serve) as address:
        error = _refused(_link(BrokerAddress(address.host, address.port, tls=True)), 1)
    assert "No TLS connection" in error.message


def test_a_reason_that_time_does_not_mend_ends_the_wait_at_once() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(bytes([0x20, 3, 0, 0x86, 0]))
        _wait_for_end(connection)

    with _server(serve) as address:
        # An hour is allowed; the test's own timeout would end it.
        assert "refuses user or password" in _refused(_link(address), 3600).message


def test_the_agent_goes_on_without_a_broker_and_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture) -> None:
    tries = threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        tries.release()

    with _server(serve) as address, caplog.at_level(logging.WARNING):
        link = _link(address)
        link.start()
        link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"{}"))
        for _ in range(5):
            assert tries.acquire(timeout=30)
        status = link.status()
        assert not status.connected
        assert status.problem is not None
        assert status.problem.reason == "closed"
        assert status.session >= 5
        assert not link.flush(0.01)
        link.stop()
    assert link._queue.counts().pending == 1
    assert len([r for r in caplog.records if "closed the connection" in r.message]) == 1


def test_a_broker_that_acknowledges_nothing_is_left_and_the_report_comes_again() -> None:
    connections, second = [], threading.Event()

    def serve(connection: socket.socket) -> None:
        received = b""
        connection.recv(4096)
        connection.sendall(CONNACK)
        connections.append(connection)
        while b"the-report" not in received:
            received += connection.recv(4096)
        if len(connections) == 2:
            second.set()
        _wait_for_end(connection)

    settings = LinkSettings(keepalive_s=1, ack_timeout_s=0.2, retry_first_s=0.01, retry_limit_s=0.02)
    with _server(serve) as address:
        link = _link(address, settings)
        link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"the-report"))
        link.start(require_within_s=30)
        assert second.wait(30)
        link.stop(0)
    assert link._queue.counts().delivered["result"] == 0


def test_what_the_broker_will_never_take_is_counted_and_blocks_nothing() -> None:
    """A broker that takes packets of 200 bytes: the large report is refused here, the small one goes out."""
    delivered = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(bytes([0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 200]))
        received = b""
        while b"small" not in received:
            received += connection.recv(4096)
        assert b"x" * 300 not in received
        delivered.set()
        _wait_for_end(connection)

    with _server(serve) as address:
        link = _link(address, PATIENT)
        link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"x" * 300))
        link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"small"))
        link.start(require_within_s=30)
        assert delivered.wait(30)
        status = link.status()
        link.stop(0)
    assert link._queue.counts().lost == {"result": 1}
    assert status.problem is not None
    assert "larger than it takes" in status.problem.message


def _packets(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each packet that comes."""
    buffer = b""
    while chunk := connection.recv(4096):
        buffer += chunk
        while len(buffer) >= 2:
            length = at = 0
            for at in range(1, min(5, len(buffer))):
                length |= (buffer[at] & 0x7F) << 7 * (at - 1)
                if not buffer[at] & 0x80:
                    break
            if buffer[at] & 0x80 or len(buffer) <= at + length:
                break
            yield buffer[0] >> 4, buffer[at + 1 : at + 1 + length]
            buffer = buffer[at + 1 + length :]


@pytest.mark.parametrize(("code", "final"), [(0x87, False), (0x90, True), (0x99, True)])
def test_only_what_no_rule_of_the_broker_can_mend_is_given_up(code: int, final: bool) -> None:
    """The first report is answered with a code; on each connection, until it is not sent any more."""
    refusals = []

    def serve(connection: socket.socket) -> None:
        for kind, body in _packets(connection):
            if kind == 1:
                connection.sendall(CONNACK)
            elif kind == 3:
                topic = int.from_bytes(body[:2], "big")
                packet = body[2 + topic : 4 + topic]
                refused = b"first" in body and (final or len(refusals) < 3)
                if refused:
                    refusals.append(code)
                connection.sendall(bytes([0x40, 3]) + packet + bytes([code if refused else 0]))

    with _server(serve) as address:
        link = _link(address, PATIENT)
        link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"first"))
        link._queue.put(ReportKind.RESULT, lambda *_: Encoded(b"second"))
        link.start(require_within_s=30)
        assert link.flush(30)
        status, counts = link.status(), link._queue.counts()
        link.stop(0)
    if final:
        assert (len(refusals), counts.lost, counts.delivered["result"]) == (1, {"result": 1}, 1)
    else:
        assert (len(refusals), counts.lost, counts.delivered["result"]) == (3, {}, 2)
        assert status.session == 4, "each refusal ended a connection"


def test_no_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with _server(lambda connection: None) as address, caplog.at_level(logging.DEBUG):
        _refused(_link(BrokerAddress.parse(f"mqtt://me:hunter2@{address.host}:{address.port}")))
    assert caplog.text
    assert "hunter2" not in caplog.text


def test_a_link_that_was_never_started_can_be_stopped() -> None:
    link = _link(BrokerAddress("127.0.0.1", 1))
    link.stop()
    link.stop()


def test_a_wake_signal_is_kept_until_it_is_taken_and_may_be_late() -> None:
    wake = Wake()
    for _ in range(100_000):
        wake.set()
    assert select.select([wake], [], [], 0)[0]
    wake.clear()
    assert not select.select([wake], [], [], 0)[0]
    wake.close()
    wake.set()


def test_a_wake_signal_that_comes_while_one_is_taken_does_not_silence_the_next() -> None:
    wake = Wake()

    class Between:
        def __init__(self, reader: socket.socket) -> None:
            self._reader = reader

        def recv(self, size: int) -> bytes:
            wake.set()
            return self._reader.recv(size)

    wake.set()
    reader, wake._reader = wake._reader, cast("socket.socket", Between(wake._reader))
    wake.clear()
    wake._reader = reader
    wake.set()
    assert select.select([wake], [], [], 0)[0]
    wake.close()


def test_a_turn_waits_without_an_epoll_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    really = select.epoll

    def counted(*arguments: int) -> select.epoll:
        made.append(1)
        return really(*arguments)

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(CONNACK)
        _wait_for_end(connection)

    monkeypatch.setattr(select, "epoll", counted)
    monkeypatch.setattr(selectors.EpollSelector, "_selector_cls", staticmethod(counted))
    with _server(serve) as address:
        link = _link(address, PATIENT)
        link.start(require_within_s=30)
        link.stop(0.1)
    assert made == []
    # Negative control: both ways to one are counted.
    selectors.DefaultSelector().close()
    select.epoll().close()
    assert made == [1, 1]


def test_a_report_does_not_wait_for_the_acknowledgement_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    create = socket.create_connection

    def remembered(*arguments: Any, **keywords: Any) -> socket.socket:
        made.append(create(*arguments, **keywords))
        return made[-1]

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(CONNACK)
        _wait_for_end(connection)

    monkeypatch.setattr(socket, "create_connection", remembered)
    with _server(serve) as address:
        link = _link(address, PATIENT)
        link.start(require_within_s=10)
        try:
            assert made[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            link.stop(0.0)


def test_a_broker_that_is_gone_before_the_first_packet_is_told_and_not_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = socket.create_connection
    there, closed = threading.Semaphore(0), threading.Semaphore(0)

    def reset(connection: socket.socket) -> None:
        there.acquire(timeout=10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        closed.release()

    def late(*arguments: Any, **keywords: Any) -> socket.socket:
        made = create(*arguments, **keywords)
        there.release()
        assert closed.acquire(timeout=10)
        return made

    monkeypatch.setattr(socket, "create_connection", late)
    with _server(reset) as address:
        link = _link(address, PATIENT)
        with pytest.raises(NotConnected, match=r"closed the connection|reset"):
            link.start(require_within_s=0.5)
        link.stop(0.0)
