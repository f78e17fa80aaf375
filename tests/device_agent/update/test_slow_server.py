"""A server that drips holds nothing up: it is left, and whatever ends a download ends it within a chunk too."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.config.update import UpdateSection
from edgesdk_agent.update import agent_update
from edgesdk_agent.update.agent_update import AgentUpdate
from edgesdk_agent.update.fetch import places
from edgesdk_agent.update.fetch.places import ServerPlace
from edgesdk_agent.update.fetch.sources import Sources
from edgesdk_agent.update.launched import Launched
from edgesdk_agent.update.record import RecordFile, Release, Step
from edgesdk_agent.update.result_tally import ResultTally
from edgesdk_agent.update.rules import Moment
from edgesdk_agent.update.trial_watch import RunningAgent
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, ChunkList
from edgesdk_targets.errors import FetchFailed
from edgesdk_testkit.update_life import first_install, make

PATIENCE_S = 20.0
CONTENT = bytes(1 << 20)
RELEASE = Release(id=f"sha256:{'a' * 64}", name="cnn", version="1.0.3", number=3, size=len(CONTENT))
LIST = ChunkList(
    bundle=RELEASE.id, name="cnn", version="1.0.3", release=3, size=len(CONTENT),
    sha256=(hashlib.sha256(CONTENT).hexdigest(),),
).to_bytes()  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
DRIPS = {
    "head": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "head without end": (CONTINUE, CONTINUE),
    "body": (HEAD % 1000, b"x"),
}


class Dripping:
    """A server on this machine that answers with a beginning, and then a drop at a time until nobody listens.

    Attributes:
        drops: how many it gave.
    """

    def __init__(self) -> None:
        self.beginning, self.drop, self.drops = b"", b"", 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/cnn.edgebundle"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            with line:
                self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        try:
            asked = line.recv(4096).split()[1].decode()
            if asked.endswith(CHUNKS_SUFFIX) and not self.beginning:
                line.sendall(HEAD % len(LIST) + LIST)
                return
            line.sendall(self.beginning or HEAD % len(CONTENT))
            while not self._ended.wait(0.02):
                line.sendall(self.drop)
                self.drops += 1
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[Dripping]:
    one = Dripping()
    # Without an end of its own, a place that waits for ever would never let the test fail.
    limit = threading.Timer(PATIENCE_S, one._ended.set)
    limit.start()
    yield one
    limit.cancel()
    one.stop()


@pytest.mark.parametrize("what", DRIPS)
def test_one_that_drips_is_left(server: Dripping, what: str) -> None:
    server.beginning, server.drop = DRIPS[what]
    with pytest.raises(FetchFailed, match="too slow"):
        ServerPlace(server.url, timeout_s=1.0).chunk_list()


def test_a_slow_one_that_gives_enough_is_not(server: Dripping) -> None:
    server.drop = bytes(100)
    assert len(ServerPlace(server.url, timeout_s=1.0).read(0, 8000)) == 8000


def test_whatever_ends_a_download_ends_it_within_a_chunk(
    server: Dripping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_LOOK_S", 0.05)
    server.drop = bytes(100)
    said = iter(["", ""])
    with pytest.raises(FetchFailed, match="asked for"):
        Sources(_anything, open_now=lambda: next(said, "Something else is asked for."))(
            RELEASE, server.url, tmp_path / "x"
        )
    assert 0 < server.drops < len(CONTENT) // 100


def test_its_time_ends_a_download_that_goes_on(
    server: Dripping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(places, "_LOOK_S", 0.05)
    monkeypatch.setattr(agent_update, "moment", lambda: Moment("boot", now[0]))
    monkeypatch.setattr(agent_update, "Backoff", lambda **_: Backoff(first_s=0.01, limit_s=0.01))
    first_install(tmp_path / "update", make(tmp_path, 2))
    server.drop = bytes(100)
    agent = RunningAgent(_nothing, _nothing, frozenset, lambda: "sha256:none", None, ResultTally())
    update = AgentUpdate(
        UpdateSection(keys=(tmp_path / "none",), folder=tmp_path / "update"), Launched(tmp_path / "update", "a"), agent,
        target="", variant="", budget_ms=0.0, tell=lambda *_, **__: None, clock_trusted=lambda: True,
    )  # fmt: skip
    update.start()
    try:
        WishFiles(tmp_path / "update").ask(Wish(do="install", token="0" * 16, address=server.url))
        _wait_for(lambda: server.drops > 5)
        assert RecordFile(tmp_path / "update").now.step is Step.DOWNLOADING
        now[0] = 7 * 3600.0
        _wait_for(lambda: RecordFile(tmp_path / "update").now.step is Step.IDLE)
        assert "took longer" in RecordFile(tmp_path / "update").now.why
    finally:
        update.stop()


def _wait_for(what: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def _nothing() -> Any:
    raise AssertionError("nothing is on trial")


def _anything(_path: Path, _digest: str, _signature: bytes | None) -> None:
    """Accept whatever comes."""
