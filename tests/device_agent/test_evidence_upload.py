"""Clips sent to a real server that cuts the line at random bytes: whole in the end, once, and deleted only when confirmed."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from pathlib import Path

import pytest

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.config.clips import UploadSection
from edgesdk_agent.evidence.tus_upload import TusUpload
from edgesdk_agent.evidence.uploader import Uploader
from edgesdk_agent.server_address import ServerAddress
from edgesdk_testkit.tus_server import TusServer

TOKEN = "secret-of-the-device"


def uploader(folder: Path, server: TusServer, *, rate: int = 1 << 30, token: str = TOKEN) -> Uploader:
    stopping = threading.Event()
    upload = TusUpload(ServerAddress.parse(server.url), token, max_bytes_per_s=rate, timeout_s=10, stopping=stopping)
    return Uploader(folder, upload, stopping, backoff=Backoff(first_s=0.001, limit_s=0.01))


def wait_until_sent(one: Uploader, confirmed: int, timeout_s: float = 20.0, *, what: str = "confirmed") -> None:
    end, tick = time.monotonic() + timeout_s, threading.Event()
    while one.counts()[what] < confirmed:
        assert time.monotonic() < end, one.counts()
        tick.wait(0.005)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_line_that_is_cut_at_random_bytes_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    content = random_.randbytes(300_000)
    (tmp_path / "gate-1.ts").write_bytes(content)
    cuts = iter([random_.randrange(0, 60_000) for _ in range(8)])
    with TusServer(TOKEN, cuts=lambda _: next(cuts, None)) as server:
        one = uploader(tmp_path, server)
        one.start()
        one.add(tmp_path / "gate-1.ts", {"filename": "gate-1.ts"})
        wait_until_sent(one, 1)
        one.close()
        assert list(server.uploads.values()) == [content]
        assert len(server.patches) == 9
        assert "filename" in server.metadata[0]
    assert list(tmp_path.iterdir()) == []
    assert one.counts()["cut"] == 8


def test_what_a_stop_left_is_sent_by_the_next_start_from_where_it_was(tmp_path: Path) -> None:
    content = random.Random(5).randbytes(200_000)
    (tmp_path / "gate-1.ts").write_bytes(content)
    with TusServer(TOKEN, cuts=lambda _: 50_000) as server:
        first = uploader(tmp_path, server)
        first.add(tmp_path / "gate-1.ts", {})
        first.start()
        end = time.monotonic() + 20
        while not server.patches and time.monotonic() < end:
            threading.Event().wait(0.005)
        first.close()
        assert (tmp_path / "gate-1.ts").exists()
        server.cuts = lambda _: None
        second = uploader(tmp_path, server)
        second.start()
        wait_until_sent(second, 1)
        second.close()
        assert list(server.uploads.values()) == [content], "one upload, not two"
        assert server.patches[-1][0] >= 50_000


def test_a_clip_stays_until_the_server_confirms_all_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gate-1.ts").write_bytes(bytes(1000))
    with TusServer(TOKEN) as server, caplog.at_level(logging.DEBUG):
        server.lies = 1
        one = uploader(tmp_path, server)
        one.start()
        one.add(tmp_path / "gate-1.ts", {})
        end = time.monotonic() + 20
        while one.counts()["cut"] < 3 and time.monotonic() < end:
            threading.Event().wait(0.005)
        assert (tmp_path / "gate-1.ts").exists()
        server.lies = 0
        server.uploads.clear()
        wait_until_sent(one, 1)
        assert [len(upload) for upload in server.uploads.values()] == [1000], "forgotten by the server: begun anew"
        one.close()
    assert TOKEN not in caplog.text


def test_a_refusal_deletes_nothing_and_a_clip_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    for name in ("a.ts", "b.ts"):
        (tmp_path / name).write_bytes(bytes(10))
    with TusServer("another token") as server:
        one = uploader(tmp_path, server)
        one.add(tmp_path / "a.ts", {})
        one.start()
        end = time.monotonic() + 20
        while one.counts()["cut"] < 2 and time.monotonic() < end:
            threading.Event().wait(0.005)
        assert (tmp_path / "a.ts").exists()
        assert not server.uploads
        (tmp_path / "a.ts").unlink()
        server.token = TOKEN
        one.add(tmp_path / "b.ts", {})
        wait_until_sent(one, 1)
        one.close()
    assert one.counts()["gone"] == 1


def test_the_uplink_is_not_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "gate-1.ts").write_bytes(bytes(100_000))
    with TusServer(TOKEN) as server:
        one = uploader(tmp_path, server, rate=200_000)
        began = time.monotonic()
        one.start()
        one.add(tmp_path / "gate-1.ts", {})
        wait_until_sent(one, 1)
        one.close()
    # The last piece goes out when the others have had their time.
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("token", ["secret\nline", "secret-\u20ac"])
def test_a_token_that_no_request_can_carry_is_refused_and_ends_no_thread(
    tmp_path: Path, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as refused:
        UploadSection.model_validate({"token": token})
    assert token not in str(refused.value)
    (tmp_path / "a.ts").write_bytes(bytes(10))
    with TusServer(TOKEN) as server:
        one = uploader(tmp_path, server, token=token)
        one.start()
        one.add(tmp_path / "a.ts", {})
        wait_until_sent(one, 3, what="failed")
        one.close()
    assert "secret" not in caplog.text


def older(clip: Path) -> None:
    """Let a clip's note be the oldest."""
    os.utime(clip.with_name(clip.name + ".upload"), (1, 1))


def test_a_clip_that_the_server_refuses_is_kept_and_holds_no_other_up(tmp_path: Path) -> None:
    large, small = tmp_path / "large.ts", tmp_path / "small.ts"
    large.write_bytes(bytes(5000))
    small.write_bytes(bytes(10))
    with TusServer(TOKEN) as server:
        server.longest = 1000
        one = uploader(tmp_path, server)
        one.add(large, {})
        older(large)
        one.add(small, {})
        one.start()
        wait_until_sent(one, 1)
        assert large.exists()
        assert one.counts()["refused"] == 1
        assert one.counts()["cut"] == 0
        one.close()
        server.longest = 1 << 30
        next_start = uploader(tmp_path, server)
        next_start.start()
        wait_until_sent(next_start, 1)
        next_start.close()
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_fails_again_and_again_lets_the_others_go_first(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.ts", tmp_path / "good.ts"
    bad.write_bytes(bytes(5000))
    good.write_bytes(bytes(10))
    with TusServer(TOKEN) as server:
        server.longest, server.too_long = 1000, 500
        one = uploader(tmp_path, server)
        one.add(bad, {})
        older(bad)
        one.add(good, {})
        one.start()
        wait_until_sent(one, 1)
        one.close()
    assert bad.exists()
    assert one.counts()["refused"] == 0
