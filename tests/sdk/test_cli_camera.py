from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from edgesdk.cli import app
from edgesdk_testkit.camera_pictures import grey
from edgesdk_testkit.mjpeg_server import MjpegServer
from edgesdk_testkit.onvif_responder import OnvifResponder

pytestmark = pytest.mark.usefixtures("log_put_back")

PASSWORD = "hunter2"


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(grey, credentials=f"admin:{PASSWORD}", fps=20.0) as server:
        yield server


def test_probe_tells_what_a_camera_delivers(
    server: MjpegServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLANTED", PASSWORD)
    source = f"http://admin:${{env:PLANTED}}@127.0.0.1:{server.port}/video.mjpg"
    assert app.run(["camera", "probe", source, "--seconds", "0.5", "--json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["opens"]
    assert found["source"] == f"http://***@127.0.0.1:{server.port}/video.mjpg"
    assert found["width"] > 0
    assert found["fps"] == pytest.approx(20, rel=0.5)
    assert not found["still"]
    assert PASSWORD not in told.out + told.err
    assert "list of processes" not in told.err


def test_probe_says_why_a_camera_does_not_open(server: MjpegServer, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"http://admin:wrong{PASSWORD}@127.0.0.1:{server.port}/video.mjpg"
    assert app.run(["camera", "probe", source]) == 1
    told = capsys.readouterr()
    assert "does not open" in told.out
    assert "→" in told.out
    assert PASSWORD not in told.out + told.err
    assert app.run(["camera", "probe", "rtsp://127.0.0.1:9/live"]) == 1
    assert "nothing listens at port 9" in capsys.readouterr().out


def test_probe_of_what_is_no_camera_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["camera", "probe", "absent.mp4"]) == 2
    assert "no camera, file or folder" in capsys.readouterr().err
    assert app.run(["camera", "probe", "rtsp://a:${env:NOT_SET}@h/x"]) == 2
    assert "the environment has no NOT_SET" in capsys.readouterr().err


def test_a_picture_that_never_changes_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with MjpegServer(lambda _: grey(0)) as still:
        assert app.run(["camera", "probe", f"http://127.0.0.1:{still.port}/a.mjpg", "--seconds", "0.3"]) == 0
    assert "very same" in capsys.readouterr().out


def test_discover_lists_cameras(capsys: pytest.CaptureFixture[str]) -> None:
    door = ("1", "127.0.0.1", "onvif://www.onvif.org/name/Hikvision%20Door")
    with OnvifResponder(door) as responder:
        asked = ["camera", "discover", "--seconds", "0.3", "--port", str(responder.port), "--address", "127.0.0.1"]
        assert app.run([*asked, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["cameras"][0]["name"] == "Hikvision Door"
        assert app.run(asked) == 0
    told = capsys.readouterr()
    assert "Hikvision Door" in told.out
    assert "Next: edgesdk camera probe 'onvif://USER:${env:CAM_PASSWORD}@127.0.0.1/onvif/device_service'" in told.err
    assert app.run(["camera", "discover", "--seconds", "0.2", "--address", "127.0.0.1", "--port", "1"]) == 0
    assert "No ONVIF camera answered" in capsys.readouterr().err
