"""The service manager's protocol against a real datagram socket, by path and by abstract name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edgesdk_agent.health.sd_notify import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    name = f"edgesdk-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name if request.param == "abstract" else name)
        listener.settimeout(5.0)
        yield listener, "@" + name if request.param == "abstract" else name


def test_the_words_arrive(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    said = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    assert said.listens
    assert said.watchdog_s == 30.0
    for say, text, expected in (
        (said.ready, "running", b"READY=1\nSTATUS=running"),
        (said.alive, "two\nlines WATCHDOG=trigger", b"WATCHDOG=1\nSTATUS=two lines WATCHDOG=trigger"),
        (said.status, "hot", b"STATUS=hot"),
        (said.stopping, "", b"STOPPING=1"),
    ):
        assert say(text)
        assert listener.recv(4096) == expected


def test_nobody_listens() -> None:
    silent = ServiceManager({"WATCHDOG_USEC": "1000"})
    assert not silent.listens
    assert silent.watchdog_s is None
    assert not silent.alive()


def test_a_manager_that_went_away_does_no_harm(tmp_path: Path) -> None:
    assert not ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_a_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    assert ServiceManager(environment).watchdog_s is None


def test_a_manager_that_does_not_read_never_holds_the_agent(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        said = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        answers = {said.alive("x" * 900) for _ in range(2000)}
    assert False in answers
