"""A download that is cut anywhere goes on; what is wrong is refused at once; and never more bytes than promised."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_agent.update.fetch.bandwidth import Bandwidth
from edgesdk_agent.update.fetch.download import download
from edgesdk_agent.update.fetch.places import Changed, LocalPlace, ServerPlace
from edgesdk_agent.update.fetch.sources import Sources
from edgesdk_agent.update.record import Release
from edgesdk_targets.bundle.archive import pack
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.chunk_list import CHUNKS_SUFFIX, ChunkList
from edgesdk_targets.errors import (
    BadBundle,
    BadHash,
    BundleError,
    FetchFailed,
    InputError,
    NoSpace,
    TooLarge,
    UnknownKey,
    Unsigned,
)
from edgesdk_testkit.update_life import make

KEY = PrivateKey.new("box")
CHUNK = 1 << 12
CONTENT = random.Random(7).randbytes(20 * CHUNK + 333)
RELEASE = Release(id=f"sha256:{'a' * 64}", name="cnn", version="1.0.0", number=1, size=len(CONTENT))


class Served:
    """What a server gives, and what was asked of it.

    Attributes:
        cut_after: bytes of the content that leave before the next connection is cut; None for no cut.
        sent: how many bytes of the content left, in all.
    """

    def __init__(self) -> None:
        self.content = CONTENT
        self.tag = '"one"'
        self.chunks = _list(CONTENT)
        self.cuts: list[int] = []
        self.sent = 0
        self.requests: list[dict[str, str]] = []
        self.ignores_range = False
        self.endless = False


def _list(content: bytes) -> ChunkList:
    import hashlib

    digests = tuple(hashlib.sha256(content[at : at + CHUNK]).hexdigest() for at in range(0, len(content), CHUNK))
    return ChunkList(
        bundle=RELEASE.id, name="cnn", version="1.0.0", release=1, size=len(content), chunk_bytes=CHUNK, sha256=digests
    )


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        served = self.served
        served.requests.append(dict(self.headers))
        if self.path.endswith(CHUNKS_SUFFIX):
            body = served.chunks.to_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        asked = self.headers.get("Range")
        matches = self.headers.get("If-Range", served.tag) == served.tag
        if asked and matches and not served.ignores_range:
            start, end = (int(part) for part in asked.removeprefix("bytes=").split("-"))
            body = served.content[start : end + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(served.content)}")
        else:
            body = served.content
            self.send_response(200)
        self.send_header("ETag", served.tag)
        self.send_header("Content-Length", str(len(body) + (1 << 30) * served.endless))
        self.end_headers()
        if served.endless:
            body = body + bytes(1 << 22)
        if served.cuts:
            body = body[: served.cuts.pop(0)]
        served.sent += len(body)
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served()
    handler = type("Handler", (_Handler,), {"served": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/cnn.edgebundle"  # type: ignore[attr-defined]
        yield state
        server.shutdown()
        thread.join()


def place(served: Served, **more: Any) -> ServerPlace:
    return ServerPlace(served.url, timeout_s=10, **more)  # type: ignore[attr-defined]


def test_cut_at_twenty_random_bytes_at_most_a_chunk_comes_twice_for_each(served: Served, tmp_path: Path) -> None:
    into = tmp_path / "in" / "x.edgebundle"
    chance = random.Random(3)
    served.cuts = [chance.randrange(0, CHUNK) for _ in range(20)]
    calls = 0
    while not into.exists():
        calls += 1
        assert calls <= 60
        try:
            download(place(served), RELEASE, into)
        except FetchFailed:
            continue
    assert into.read_bytes() == CONTENT
    assert served.cuts == []
    assert served.sent <= len(CONTENT) + 20 * CHUNK
    assert sorted(path.name for path in into.parent.iterdir()) == [into.name]


def test_killed_at_twenty_random_bytes_at_most_a_chunk_comes_twice_for_each(served: Served, tmp_path: Path) -> None:
    """Real processes, each ended by SIGKILL when so many bytes more have come; the last one is left alone."""
    into = tmp_path / "x.edgebundle"
    chance = random.Random(5)
    lives = [chance.randrange(1, 2 * CHUNK) for _ in range(20)]
    words = [served.url, RELEASE.model_dump_json(), str(into), json.dumps([*lives, len(CONTENT) + 1])]  # type: ignore[attr-defined]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *words], env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [-signal.SIGKILL] * 20 + [0]
    assert into.read_bytes() == CONTENT
    assert len(CONTENT) < served.sent <= len(CONTENT) + 20 * CHUNK


# One program that forks: twenty starts of Python would take longer than all else here.
_KILLED = """
import json, os, pathlib, signal, sys
from edgesdk_agent.update.fetch.download import download
from edgesdk_agent.update.fetch.places import ServerPlace
from edgesdk_agent.update.record import Release


class Killed(ServerPlace):
    def read(self, start, length):
        global left
        data = super().read(start, min(length, left))
        left -= len(data)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return data


url, release, into, lives = sys.argv[1:]
codes = []
for left in json.loads(lives):
    child = os.fork()
    if not child:
        download(Killed(url), Release.model_validate_json(release), pathlib.Path(into))
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def test_a_bad_chunk_is_refused_before_the_next_is_asked_for(served: Served, tmp_path: Path) -> None:
    served.content = CONTENT[: 5 * CHUNK + 9] + b"?" + CONTENT[5 * CHUNK + 10 :]
    with pytest.raises(BadHash, match="Chunk 5"):
        download(place(served), RELEASE, tmp_path / "x")
    assert served.sent == 7 * CHUNK  # five good ones, and the bad one twice
    assert not (tmp_path / "x").exists()
    served.content, served.sent = CONTENT, 0
    download(place(served), RELEASE, tmp_path / "x")
    assert served.sent == len(CONTENT) - 5 * CHUNK


def test_what_was_altered_on_the_disk_meanwhile_is_fetched_again(served: Served, tmp_path: Path) -> None:
    served.cuts = [CHUNK, CHUNK, 0]
    with pytest.raises(FetchFailed):
        download(place(served), RELEASE, tmp_path / "x")
    part = tmp_path / "x.part"
    part.write_bytes(b"\0" + part.read_bytes()[1:])
    download(place(served), RELEASE, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_file_that_is_replaced_meanwhile_is_not_mixed(served: Served, tmp_path: Path) -> None:
    class Replacing(ServerPlace):
        def read(self, start: int, length: int) -> bytes:
            if start >= 3 * CHUNK:
                served.tag, served.content = '"two"', bytes(len(CONTENT))
            return super().read(start, length)

    with pytest.raises(Changed):
        download(Replacing(served.url), RELEASE, tmp_path / "x")  # type: ignore[attr-defined]
    assert served.requests[-1]["If-Range"] == '"one"'


def test_endless_data_is_cut_at_what_was_promised(served: Served, tmp_path: Path) -> None:
    served.endless = True
    download(place(served), RELEASE, tmp_path / "x")
    assert (tmp_path / "x").stat().st_size == RELEASE.size


@pytest.mark.parametrize(
    "chunks",
    [
        _list(CONTENT + b"more"),
        _list(CONTENT).model_copy(update={"bundle": f"sha256:{'b' * 64}"}),
    ],
)
def test_another_file_than_was_promised_costs_no_byte(served: Served, tmp_path: Path, chunks: ChunkList) -> None:
    served.chunks = chunks
    with pytest.raises(BadHash, match="promised"):
        download(place(served), RELEASE, tmp_path / "x")
    assert served.sent == 0


def test_a_stick_goes_the_same_way_and_needs_no_list(tmp_path: Path) -> None:
    made = make(tmp_path, 1)
    sign_bundle_at(made.path)
    release = made.release.model_copy(update={"size": made.path.stat().st_size})
    seen: list[int] = []
    download(LocalPlace(made.path), release, tmp_path / "x", told=lambda there, _: seen.append(there))
    assert (tmp_path / "x").read_bytes() == made.path.read_bytes()
    assert seen[-1] == release.size
    made.path.unlink()
    with pytest.raises(FetchFailed, match="Is the stick in"):
        download(LocalPlace(made.path), release, tmp_path / "y")


class TestSources:
    def test_an_address_says_which_release_it_offers(self, served: Served, tmp_path: Path) -> None:
        assert Sources(_anything).release_at(served.url) == RELEASE  # type: ignore[attr-defined]
        made = make(tmp_path, 1)
        with pytest.raises(Unsigned, match="bundle sign"):
            Sources(_anything).release_at(str(made.path))
        sign_bundle_at(made.path)
        assert Sources(_anything).release_at(str(made.path)).number == 7

    def test_one_that_would_fill_the_disk_is_refused_unread(self, served: Served) -> None:
        with pytest.raises(TooLarge, match="bytes"):
            Sources(_anything, largest_bytes=len(CONTENT) - 1).release_at(served.url)  # type: ignore[attr-defined]
        assert served.sent == 0

    @pytest.mark.parametrize(
        "address", ["cnn.edgebundle", "../x", "ftp://host/x", "http://host/x", "https://a..b/x", ""]
    )
    def test_what_is_no_address_is_refused(self, address: str) -> None:
        with pytest.raises(InputError):
            Sources(_anything).release_at(address)

    def test_what_is_not_accepted_is_not_parsed(self, tmp_path: Path) -> None:
        def refuse(path: Path, _digest: str, signature: bytes | None) -> None:
            assert signature is not None
            raise UnknownKey(f"nobody knows who signed {path.name}")

        made = make(tmp_path, 1)
        sign_bundle_at(made.path)
        # A manifest that nobody could read: it is refused for its signer, so it was not looked at.
        with open_bundle(made.path) as bundle:
            signature = bundle.signature()
        assert signature is not None
        made.path.write_bytes(pack({"manifest.json": b"[" * 10000, "signature.json": signature}))
        with pytest.raises(UnknownKey):
            Sources(refuse).release_at(str(made.path))
        with pytest.raises(BundleError, match="manifest"):
            Sources(_anything).release_at(str(made.path))

    def test_within_a_download_the_hour_may_end(self, served: Served, tmp_path: Path) -> None:
        said = iter(["", "", "It waits for 22:00-05:00."])
        with pytest.raises(FetchFailed, match="22:00"):
            Sources(_anything, open_now=lambda: next(said))(RELEASE, served.url, tmp_path / "x")  # type: ignore[attr-defined]
        before = served.sent
        Sources(_anything)(RELEASE, served.url, tmp_path / "x")  # type: ignore[attr-defined]
        assert (tmp_path / "x").read_bytes() == CONTENT
        assert 0 < before < len(CONTENT)
        assert served.sent == len(CONTENT), "the chunks that had come were not fetched again"


def _anything(_path: Path, _digest: str, _signature: bytes | None) -> None:
    """Accept whatever comes."""


def sign_bundle_at(path: Path) -> None:
    with open_bundle(path) as bundle:
        sign_bundle(bundle, KEY, path, release=7)


def test_without_space_nothing_is_fetched(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 30, 1 << 30, 1 << 20))  # type: ignore[attr-defined]
    with pytest.raises(NoSpace):
        download(place(served), RELEASE, tmp_path / "x")
    assert served.sent == 0


def test_a_server_that_ignores_ranges_is_told_so(served: Served, tmp_path: Path) -> None:
    served.ignores_range = True
    with pytest.raises(FetchFailed, match="parts"):
        download(place(served), RELEASE, tmp_path / "x")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "ftp://h/x",
        "https://u:p@h/x",
        "https://h/x?y",
        "https://h/ x",
        "https://h/ä",
        "x",
        "https://h:99999/",
    ],
)
def test_what_is_no_address_of_a_bundle(url: str) -> None:
    with pytest.raises(InputError):
        ServerPlace(url)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"chunk_bytes": 8 << 20, "sha256": ["0" * 64]},
        {"sha256": []},
        {"chunk_bytes": 3},
        {"sha256": ["x"]},
        {"schema": "chunks/9"},
        {"bundle": "x"},
    ],
)
def test_a_bad_list_is_refused(change: dict[str, Any]) -> None:
    good = json.loads(_list(CONTENT).to_bytes())
    assert ChunkList.from_bytes(json.dumps(good).encode()) == _list(CONTENT)
    with pytest.raises(BadBundle):
        ChunkList.from_bytes(json.dumps({**good, **change}).encode())


def test_the_cap_holds_whatever_comes_at_once() -> None:
    now, waited = [0.0], []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    cap = Bandwidth(1000, clock=lambda: now[0], wait=wait)
    for _ in range(50):
        cap.take(100)
    assert now[0] == pytest.approx((50 * 100 - 1000) / 1000)
    now[0] += 100  # what was not used is not saved up beyond a second's worth
    waited.clear()
    for _ in range(30):
        cap.take(100)
    assert sum(waited) == pytest.approx(2.0)


def test_a_cap_holds_a_real_download_and_none_does_not(served: Served, tmp_path: Path) -> None:
    def seconds(name: str, bytes_per_s: int | None) -> float:
        began = time.monotonic()
        Sources(_anything, bytes_per_s=bytes_per_s)(RELEASE, served.url, tmp_path / name)  # type: ignore[attr-defined]
        assert (tmp_path / name).read_bytes() == CONTENT
        return time.monotonic() - began

    # A second's worth comes at once, so that what is left of three takes two.
    capped = seconds("capped", len(CONTENT) // 3)
    free = min(seconds(f"free{number}", None) for number in range(3))
    assert capped > 1.9
    assert free < capped
    assert served.sent == 4 * len(CONTENT)
