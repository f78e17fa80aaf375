"""The streams that an ONVIF camera names: a service that speaks SOAP on loopback, and neighbours that lie."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from edgesdk_agent.cameras.finding.onvif_streams import onvif_streams
from edgesdk_agent.cameras.finding.probe import probe_camera
from edgesdk_agent.cameras.finding.ws_discovery import FoundCamera, onvif_place
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_testkit.onvif_camera import PASSWORD, USER, OnvifCamera

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


def asked(camera: OnvifCamera, login: str = LOGIN, **options: Any) -> list[Any]:
    return onvif_streams(SecretUrl(f"onvif://{login}{camera.host}"), **options)


def test_streams_are_those_that_the_camera_names_the_largest_first_with_the_login() -> None:
    streams = {"sub": "rtsp://127.0.0.1:554/s2", "main": "rtsp://127.0.0.1:554/s1?a=1&amp;b=2"}
    # A clock three years off, as of a camera that nobody ever set.
    with OnvifCamera(streams, ahead=timedelta(days=-1000)) as camera:
        found = asked(camera)
    own = f"rtsp://{LOGIN}127.0.0.1:554"
    assert [one.url.reveal() for one in found] == [f"{own}/s1?a=1&b=2", f"{own}/s2"]
    assert (found[0].width, found[0].height, found[0].codec) == (640, 480, "h264")
    assert str(found[1].url) == "rtsp://***@127.0.0.1:554/s2"
    # The password itself never travels.
    assert not any(PASSWORD in text or quote(PASSWORD) in text for text in camera.heard)


def test_a_login_goes_to_no_other_host() -> None:
    with OnvifCamera({"main": "rtsp://10.9.8.7/s1"}) as camera:
        (found,) = asked(camera)
    assert found.url.reveal() == "rtsp://10.9.8.7/s1"


@pytest.mark.parametrize("login", ["", f"{USER}:wrong@", f"other:{quote(PASSWORD)}@"])
def test_a_wrong_login_is_told(login: str) -> None:
    with (
        OnvifCamera({"main": "rtsp://127.0.0.1/s1"}) as camera,
        pytest.raises(CameraLost, match="refuses the login") as told,
    ):
        asked(camera, login)
    assert "wrong" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x",
        "file:///etc/passwd",
        "rtsp://127.0.0.1/a b",
        "rtsp://127.0.0.1/&#10;x",
        "rtsp://[::1",
        "",
        "rtsp://127.0.0.1/" + "x" * 600,
    ],
)
def test_an_address_that_is_none_is_left_out(address: str) -> None:
    with OnvifCamera({"main": address}) as camera, pytest.raises(CameraLost, match="names no RTSP stream"):
        asked(camera)


def _endless(request: Any) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 65536)
    except OSError:
        pass


def _drips(request: Any) -> None:
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"<")
            request.wfile.flush()
            time.sleep(0.02)
    except OSError:
        pass


def _drips_headers(request: Any) -> None:
    request.wfile.write(b"HTTP/1.0 200 OK\r\nX-Name: ")
    try:
        while True:
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.02)
    except OSError:
        pass


def _elsewhere(request: Any) -> None:
    request.send_response(302)
    request.send_header("Location", "http://127.0.0.1:1/secret")
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not XML",
        b"<a/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"<a>" * 5000,
        b"x" * (300 << 10),
        b'<x xmlns:m="http://www.onvif.org/ver10/media/wsdl"><m:Profiles token=""/><m:Profiles/></x>',
        _endless,
        _drips,
        _drips_headers,
        _elsewhere,
    ],
)
def test_a_hostile_answer_is_refused_in_time(answer: Any) -> None:
    began = time.monotonic()
    with (
        OnvifCamera({"main": "rtsp://127.0.0.1/s1"}, answers={"GetProfiles": answer}) as camera,
        pytest.raises(CameraLost),
    ):
        asked(camera, timeout_s=1.0)
    assert time.monotonic() - began < 10


def test_of_a_thousand_profiles_some_are_asked_for() -> None:
    with OnvifCamera({f"p{number}": f"rtsp://127.0.0.1/{number}" for number in range(1000)}) as camera:
        assert len(asked(camera)) == 16


@pytest.mark.parametrize("address", ["onvif://", "onvif://a:b@", "onvif://[::1", "onvif://a:99999"])
def test_an_address_that_cannot_be_read_is_said_to_be(address: str) -> None:
    with pytest.raises(InputError, match="no address of a camera"):
        onvif_streams(SecretUrl(address))


def test_probe_opens_the_largest_and_tells_all() -> None:
    with OnvifCamera({"sub": "rtsp://127.0.0.1:1/s2", "main": "rtsp://127.0.0.1:1/s1"}) as camera:
        report = probe_camera(SecretUrl(f"onvif://{LOGIN}{camera.host}"), seconds=0.2, timeout_s=2.0)
    assert report.source == "rtsp://***@127.0.0.1:1/s1"
    assert not report.opens
    assert [(one.name, one.this) for one in report.streams] == [("main", True), ("sub", False)]
    assert PASSWORD not in str(report.to_json())


def test_where_a_found_camera_is_asked_is_no_trap_for_a_command_line() -> None:
    services = ("http://10.0.0.9/onvif/device_service", "http://10.0.0.9:8000/'; rm -rf /", "http://6.6.6.6/x")
    assert onvif_place(FoundCamera("10.0.0.9", services=services)) == "10.0.0.9/onvif/device_service"
    assert onvif_place(FoundCamera("10.0.0.9", services=services[1:])) == "10.0.0.9"
    assert onvif_place(FoundCamera("10.0.0.9", services=("http://10.0.0.9:8000/onvif",))) == "10.0.0.9:8000/onvif"
