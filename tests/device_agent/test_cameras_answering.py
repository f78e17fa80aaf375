"""Whether anybody answers at an address: asked over real sockets, and without OpenCV's lock."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from edgesdk_agent.cameras.answering import answers
from edgesdk_targets.secret_url import SecretUrl


@contextmanager
def listener(answer: Callable[[bytes], bytes | None]) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one answer to each question, None leaves it open without one; give the port and what was asked."""
    asked: list[bytes] = []
    kept: list[socket.socket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                asked.append(one.recv(4096))
                said = answer(asked[-1])
                if said is None:
                    kept.append(one)
                    continue
                one.sendall(said)
                one.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(30)
        for one in kept:
            one.close()


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_any_answer_will_do_and_no_login_is_told(scheme: str) -> None:
    for said in (b"RTSP/1.0 401 Unauthorized\r\n\r\n", b"nonsense", b""):
        with listener(lambda _, said=said: said) as (port, asked):  # type: ignore[misc]
            assert answers(SecretUrl(f"{scheme}://user:geheim@127.0.0.1:{port}/a?b=1"), 30)
        assert len(asked) == 1
        assert b"geheim" not in asked[0]


def test_one_that_is_silent_does_not_answer() -> None:
    with listener(lambda _: None) as (port, asked):
        assert not answers(SecretUrl(f"rtsp://127.0.0.1:{port}/a"), 0.3)
        assert not answers(SecretUrl(f"http://127.0.0.1:{port}/a"), 0.3)
    assert [one.split()[0] for one in asked] == [b"OPTIONS", b"HEAD", b"GET"]


def test_a_web_server_that_ignores_head_is_asked_by_get() -> None:
    with listener(lambda asked: b"HTTP/1.0 200 OK\r\n\r\n" if asked.startswith(b"GET") else None) as (port, asked):
        assert answers(SecretUrl(f"http://127.0.0.1:{port}/a"), 0.6)
    assert len(asked) == 2


def test_nobody_there_is_no_answer_and_what_cannot_be_asked_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not answers(SecretUrl("rtsp://127.0.0.1:9/a"), 30)
    assert answers(SecretUrl("rtsp:///a"), 30)
    assert answers(SecretUrl("rtsp://127.0.0.1:port/a"), 30)
    assert answers(SecretUrl("udp://127.0.0.1:9/a"), 30)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert answers(SecretUrl("http://127.0.0.1:9/a"), 30)
