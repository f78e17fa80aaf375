from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_agent.cameras.finding.makes import MAKES, make_of, streams_of
from edgesdk_agent.cameras.finding.rtsp_describe import Media, NotDescribed, describe, read_sdp
from edgesdk_agent.cameras.finding.ws_discovery import discover, read_answer
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_testkit.onvif_responder import OnvifResponder

LOGIN = "rtsp://admin:hunt@er2@10.0.0.9:554"


class TestMakes:
    @pytest.mark.parametrize("make", MAKES, ids=lambda make: make.name)
    def test_each_knows_its_own_two_streams(self, make: object) -> None:
        for path in (make.main, make.sub):  # type: ignore[attr-defined]
            url = SecretUrl(LOGIN + path)
            assert make_of(url) is make
            streams = [stream.reveal() for _, stream in streams_of(url)]
            assert LOGIN + make.main in streams  # type: ignore[attr-defined]
            assert LOGIN + make.sub in streams  # type: ignore[attr-defined]

    def test_the_channel_stays(self) -> None:
        url = SecretUrl(f"{LOGIN}/Streaming/Channels/1602")
        assert str(streams_of(url)[0][1]) == "rtsp://***@10.0.0.9:554/Streaming/Channels/1601"
        assert streams_of(SecretUrl(f"{LOGIN}/Preview_03_sub"))[0][1].reveal() == f"{LOGIN}/Preview_03_main"

    def test_nothing_is_guessed_of_others(self) -> None:
        for path in ("", "/", "/live", "/stream10"):
            assert streams_of(SecretUrl(LOGIN + path)) == []


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection: each request is answered with the next of `answers`; yields host:port and the requests."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                for answer in answers:
                    requests.append(connection.recv(4096))
                    connection.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", requests
        thread.join()


SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=framerate:12.5\r\nm=audio 0 RTP/AVP 8\r\n"
OK = f"RTSP/1.0 200 OK\r\nServer: Camera/1\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}".encode()
# The example of RFC 2617, for another method.
DIGEST = b'RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm="cam", nonce="abc"\r\n\r\n'


class TestDescribe:
    def test_what_it_sends(self) -> None:
        with answering(OK) as (place, requests):
            found = describe(SecretUrl(f"rtsp://{place}/a?x=1"))
        assert (found.server, found.video) == ("Camera/1", Media("video", "H265", 12.5))
        assert requests[0].startswith(f"DESCRIBE rtsp://{place}/a?x=1 RTSP/1.0\r\n".encode())

    def test_the_password_is_proved_and_never_sent(self) -> None:
        with answering(DIGEST, OK) as (place, requests):
            describe(SecretUrl(f"rtsp://admin:hunt%40er2@{place}/a"))
        assert b"hunt" not in b"".join(requests)
        assert b'username="admin", realm="cam", nonce="abc"' in requests[1]

    def test_a_wrong_login_says_so_and_shows_nothing(self) -> None:
        with answering(DIGEST, DIGEST) as (place, _), pytest.raises(NotDescribed, match="user and password") as caught:
            describe(SecretUrl(f"rtsp://admin:hunter2@{place}/stream1"))
        assert "hunter2" not in str(caught.value)
        assert "%40" in caught.value.hint
        assert "Tapo app" in caught.value.hint

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b"RTSP/1.0 404 Not Found\r\n\r\n", "no such stream"),
            (b"RTSP/1.0 453 Not Enough Bandwidth\r\n\r\n", "no room"),
            (b"RTSP/1.0 500 Oops\r\n\r\n", "answers 500"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not in RTSP"),
            (b"\0\xff\r\n\r\n", "not in RTSP"),
            (b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", "not in RTSP"),
        ],
    )
    def test_each_refusal_has_its_words(self, answer: bytes, said: str) -> None:
        with answering(answer) as (place, _), pytest.raises(CameraLost, match=said) as caught:
            describe(SecretUrl(f"rtsp://{place}/a"))
        assert caught.value.hint

    def test_nobody_listens_nobody_is_there_and_nobody_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(CameraLost, match="connected, and does not answer"):
                describe(SecretUrl(f"rtsp://127.0.0.1:{port}/a"), timeout_s=0.1)
        with pytest.raises(CameraLost, match=f"nothing listens at port {port}"):
            describe(SecretUrl(f"rtsp://127.0.0.1:{port}/a"))
        with pytest.raises(CameraLost, match="no host"):
            describe(SecretUrl("rtsp://camera.invalid/a"))
        for wrong in ("rtsp://", "rtsp://host:99999/a", "rtsp://[::1/a"):
            with pytest.raises(InputError, match="no address"):
                describe(SecretUrl(wrong))

    @given(st.text(max_size=300))
    def test_any_description_is_read(self, text: str) -> None:
        for media in read_sdp("m=video 0 RTP/AVP 96\n" + text):
            assert len(media.codec) <= 40

    def test_jpeg_has_a_number_of_its_own(self) -> None:
        assert read_sdp("m=video 0 RTP/AVP 26\r\n") == (Media("video", "JPEG"),)


DOOR = ("1", "127.0.0.1", "onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/DS-2CD2043")
GATE = ("2", "127.0.0.2:8080", "onvif://www.onvif.org/name/Gate onvif://www.onvif.org/location/yard")


class TestDiscovery:
    def test_it_finds_what_answers_by_multicast(self) -> None:
        with OnvifResponder(DOOR, GATE) as responder:
            found = discover(seconds=0.5, port=responder.port, interface="127.0.0.1")
        assert [(c.host, c.name, c.hardware, c.location) for c in found] == [
            ("127.0.0.1", "Front Door", "DS-2CD2043", ""),
            ("127.0.0.2", "Gate", "", "yard"),
        ]
        assert found[0].services == ("http://127.0.0.1/onvif/device_service",)

    def test_every_interface_is_asked_and_a_camera_is_told_once(self) -> None:
        with OnvifResponder(DOOR) as responder:
            found = discover(seconds=0.5, port=responder.port)
        assert [camera.name for camera in found] == ["Front Door"]

    def test_one_address_can_be_asked_alone(self) -> None:
        with OnvifResponder(DOOR) as responder:
            assert len(discover(seconds=0.3, address="127.0.0.1", port=responder.port)) == 1

    def test_junk_is_passed_over(self) -> None:
        bomb = b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>RELATES &b;</a>"
        with OnvifResponder(DOOR, junk=(b"", b"\xff" * 2000, b"<a>", b"<a>RELATES</a>", bomb)) as responder:
            found = discover(seconds=0.5, address="127.0.0.1", port=responder.port)
        assert [camera.name for camera in found] == ["Front Door"]

    def test_nobody_answers(self) -> None:
        assert discover(seconds=0.05, address="127.0.0.1", port=1) == []

    @pytest.mark.parametrize("wrong", [{"address": "camera"}, {"interface": "10.255.255.1"}, {"interface": "x"}])
    def test_an_address_that_cannot_be_asked_is_refused(self, wrong: dict[str, str]) -> None:
        with pytest.raises(InputError, match="Nothing can be sent"):
            discover(seconds=0.05, **wrong)  # type: ignore[arg-type]

    @given(st.binary(max_size=300))
    def test_any_answer_is_read(self, data: bytes) -> None:
        assert read_answer(data, "10.0.0.1", "id") == []
