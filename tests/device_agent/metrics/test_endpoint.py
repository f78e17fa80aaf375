"""The endpoint on real sockets: two questions, no bodies, and nobody holds it up."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edgesdk_agent.metrics.endpoint import _MOST_CONNECTIONS, MetricsEndpoint
from edgesdk_targets.errors import InputError
from edgesdk_testkit.slots import wait_until

HEALTH = [True]


@pytest.fixture
def endpoint() -> Iterator[MetricsEndpoint]:
    HEALTH[0] = True
    made = MetricsEndpoint(lambda: "edgesdk_x 1\n", lambda: HEALTH[0], host="127.0.0.1", port=0, whole_s=0.6)
    made.start()
    yield made
    made.close()
    made.close()


def _ask(endpoint: MetricsEndpoint, path: str = "/metrics", method: str = "GET", **how: object) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
    try:
        connection.request(method, path, **how)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _answers(endpoint: MetricsEndpoint) -> bool:
    try:
        return _ask(endpoint)[0] == 200
    except OSError:
        return False


def _threads() -> int:
    return sum("process_request" in one.name for one in threading.enumerate())


def test_it_answers_two_questions_and_no_others(endpoint: MetricsEndpoint) -> None:
    assert _ask(endpoint) == (200, b"edgesdk_x 1\n")
    assert _ask(endpoint, "/healthz") == (200, b"ok\n")
    HEALTH[0] = False
    assert _ask(endpoint, "/healthz")[0] == 503
    assert _ask(endpoint, "/../etc/passwd")[0] == 404
    assert _ask(endpoint, method="POST")[0] == 501
    with pytest.raises(InputError, match=str(endpoint.port)):
        MetricsEndpoint(str, bool, host="127.0.0.1", port=endpoint.port)


@pytest.mark.parametrize(
    "how",
    [{"body": b"x" * 9}, {"headers": {"Transfer-Encoding": "chunked"}}, {"headers": {"Content-Length": "9" * 30}}],
)
def test_a_body_is_refused_unread(endpoint: MetricsEndpoint, how: dict[str, object]) -> None:
    assert _ask(endpoint, **how)[0] == 413


def test_who_speaks_ever_so_slowly_holds_it_for_a_bounded_time(endpoint: MetricsEndpoint) -> None:
    before = _threads()
    with ExitStack() as stack:
        slow = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(2 * _MOST_CONNECTIONS)]
        for one in slow:
            stack.callback(one.close)
        over, most = threading.Event(), [0]

        def dribble() -> None:
            # Far quicker than the time-out of one reading, which so never comes.
            for byte in b"GET /metrics HTTP/1.0\r\nX-Slow: " + b"z" * 60000:
                for one in slow:
                    try:
                        one.send(bytes([byte]))
                    except OSError:
                        continue
                most[0] = max(most[0], _threads() - before)
                if over.wait(0.02):
                    return

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            wait_until(lambda: most[0] > 0, "a thread that is held")
            wait_until(lambda: _answers(endpoint), "an answer to somebody who asks")
            wait_until(lambda: _threads() == before, "the end of their threads")
        finally:
            over.set()
            thread.join()
    assert most[0] <= _MOST_CONNECTIONS


def test_who_listens_ever_so_slowly_holds_it_for_a_bounded_time() -> None:
    endpoint = MetricsEndpoint(lambda: "x" * (8 << 20), lambda: True, host="127.0.0.1", port=0, whole_s=0.5)
    before = _threads()
    endpoint.start()
    try:
        with socket.create_connection(("127.0.0.1", endpoint.port)) as deaf:
            deaf.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            wait_until(lambda: _threads() > before, "a thread that is held")
            wait_until(lambda: _threads() == before, "its end")
    finally:
        endpoint.close()
