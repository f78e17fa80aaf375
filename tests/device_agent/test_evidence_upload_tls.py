"""Uploads over HTTPS to a real TLS server of an authority of our own: who is trusted, what a cut costs, and who may stop it."""

from __future__ import annotations

import logging
import random
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.evidence.tus_upload import TusUpload
from edgesdk_agent.evidence.upload_line import upload_context
from edgesdk_agent.evidence.uploader import Uploader
from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import FetchFailed, InputError
from edgesdk_testkit.certificates import Certificates, make_certificates
from edgesdk_testkit.tus_server import TusServer

TOKEN = "secret-of-the-device"
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def serving(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def upload(server: TusServer, authority: Path | None, *, rate: int = 1 << 30) -> TusUpload:
    context = upload_context(authority)
    return TusUpload(ServerAddress.parse(server.url), TOKEN, max_bytes_per_s=rate, timeout_s=60, context=context)


def uploader(folder: Path, sending: TusUpload) -> Uploader:
    return Uploader(folder, sending, sending._stopping, backoff=Backoff(first_s=0.001, limit_s=0.01))


def wait_for(one: Uploader, what: str, count: int = 1) -> None:
    end, tick = time.monotonic() + PATIENCE_S, threading.Event()
    while one.counts()[what] < count:
        assert time.monotonic() < end, one.counts()
        tick.wait(0.005)


def test_a_line_that_is_cut_goes_on_where_it_was_over_tls(files: Certificates, tmp_path: Path) -> None:
    content = random.Random(7).randbytes(400_000)
    (tmp_path / "gate-1.ts").write_bytes(content)
    cuts = iter([0, 90_000, 150_000])
    confirmed: list[tuple[str, str]] = []
    with TusServer(TOKEN, cuts=lambda _: next(cuts, None), context=serving(files.server, files.server_key)) as server:
        sending = upload(server, files.ca)
        one = Uploader(
            tmp_path,
            sending,
            sending._stopping,
            backoff=Backoff(first_s=0.001, limit_s=0.01),
            on_confirmed=lambda name, said: confirmed.append((name, said["id"])),
        )
        one.start()
        one.add(tmp_path / "gate-1.ts", {"id": "1234"})
        wait_for(one, "confirmed")
        one.close()
        assert list(server.uploads.values()) == [content]
        assert [at for at, _ in server.patches] == [0, 0, 90_000, 240_000], "each from where the last one was cut"
    assert one.counts()["cut"] == 3
    assert confirmed == [("gate-1.ts", "1234")]
    assert list(tmp_path.iterdir()) == []


def test_a_server_of_an_unknown_authority_or_another_name_gets_nothing(
    files: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_certificates(tmp_path / "other")
    clip = tmp_path / "gate-1.ts"
    clip.write_bytes(bytes(1000))
    # The client's certificate is of the same authority, and for no name of this server.
    for certificate, key, authority in (
        (files.server, files.server_key, other.ca),
        (files.server, files.server_key, None),
        (files.client, files.client_key, files.ca),
    ):
        with TusServer(TOKEN, context=serving(certificate, key)) as server:
            with pytest.raises(FetchFailed, match="is not trusted") as refused:
                upload(server, authority).create(clip, {})
            assert "clips.upload.ca" in refused.value.hint
            assert not server.asked.is_set(), "not even the token was sent"
    with TusServer(TOKEN, context=serving(files.server, files.server_key)) as server:
        one = uploader(tmp_path, upload(server, other.ca))
        with caplog.at_level(logging.WARNING):
            one.start()
            one.add(clip, {})
            wait_for(one, "cut", 2)
            one.close()
    assert "is not trusted" in caplog.text
    assert clip.exists()


def test_an_authority_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(InputError, match=r"clips\.upload\.ca"):
            upload_context(path)


def test_the_rate_holds_over_tls(files: Certificates, tmp_path: Path) -> None:
    """By the ratio of two rates in the same run: a third of the rate takes about three times as long."""
    clip = tmp_path / "gate-1.ts"
    clip.write_bytes(bytes(120_000))
    took: dict[int, float] = {}
    with TusServer(TOKEN, context=serving(files.server, files.server_key)) as server:
        for rate in (400_000, 133_000):
            sending = upload(server, files.ca, rate=rate)
            location = sending.create(clip, {})
            began = time.monotonic()
            assert sending.send(location, clip, 0) == 120_000
            took[rate] = time.monotonic() - began
    assert 2.0 < took[133_000] / took[400_000] < 4.0


@pytest.mark.parametrize("stage", ["answer", "handshake", "connect"])
def test_a_stop_cuts_what_hangs_and_the_next_start_goes_on(files: Certificates, tmp_path: Path, stage: str) -> None:
    clip = tmp_path / "gate-1.ts"
    content = random.Random(9).randbytes(50_000)
    clip.write_bytes(content)
    with TusServer(TOKEN, context=serving(files.server, files.server_key)) as server:
        if stage == "answer":
            server.hangs.set()
            sending = upload(server, files.ca)
        else:
            # Taken by the kernel, and served by nobody; a full row of such takes no connection any more.
            deaf = socket.create_server(("127.0.0.1", 0), backlog=1)
            waiting = [socket.socket() for _ in range(4 if stage == "connect" else 0)]
            for line in waiting:
                line.setblocking(False)
                line.connect_ex(deaf.getsockname())
            address = ServerAddress.parse(f"https://127.0.0.1:{deaf.getsockname()[1]}/files/")
            sending = TusUpload(address, TOKEN, max_bytes_per_s=1 << 30, timeout_s=60, context=upload_context(files.ca))
        one = uploader(tmp_path, sending)
        one.start()
        one.add(clip, {"id": "1"})
        if stage == "answer":
            assert server.asked.wait(PATIENCE_S)
        else:
            end = time.monotonic() + PATIENCE_S
            while sending._line is None or sending._line._socket is None:
                assert time.monotonic() < end
                threading.Event().wait(0.005)
        one.close(timeout_s=PATIENCE_S)
        # Far less than the time-out of the line, which is 60 s: it was cut.
        assert not one._thread.is_alive()
        assert clip.exists()
        server.hangs.clear()
        again = uploader(tmp_path, upload(server, files.ca))
        again.start()
        wait_for(again, "confirmed")
        again.close()
        assert content in [bytes(one) for one in server.uploads.values()]
        if stage != "answer":
            for line in (deaf, *waiting):
                line.close()
    assert list(tmp_path.iterdir()) == []
