from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from camera_contract import CameraContract

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.gstreamer import GStreamerCamera
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.target import Runtime
from edgesdk_testkit.system_packages import gstreamer_on_path
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

# PyGObject's own importer is older than the interpreter.
pytestmark = pytest.mark.filterwarnings("ignore:DynamicImporter:ImportWarning")


@pytest.fixture
def gstreamer() -> Iterator[None]:
    with gstreamer_on_path():
        yield


@pytest.mark.usefixtures("gstreamer")
class TestGStreamerRecording(CameraContract):
    live, frames = False, 8

    def make(self) -> Camera:
        # A width whose lines GStreamer pads.
        return GStreamerCamera("videotestsrc num-buffers=8 pattern=ball ! video/x-raw,width=70,height=50", live=False)

    def test_lines_are_not_sheared_by_their_padding(self) -> None:
        blue = "videotestsrc num-buffers=2 pattern=solid-color foreground-color=0xff2040c0"
        camera = GStreamerCamera(f"{blue} ! video/x-raw,width=70,height=50", live=False)
        picture = camera.read(None)
        camera.close()
        assert picture is not None
        assert (np.ptp(picture.reshape(-1, 3), axis=0) <= 2).all()
        b, g, r = picture[0, 0].tolist()
        assert b > g > r


@pytest.mark.usefixtures("gstreamer")
class TestGStreamerLive(CameraContract):
    live, frames = True, None

    def make(self) -> Camera:
        text = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=64,height=48,framerate=100/1"
        return GStreamerCamera(text)

    def test_it_is_supervised_in_the_catalogue(self) -> None:
        camera = open_camera("gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48")
        assert isinstance(camera, SupervisedCamera)
        assert camera.info.fps == pytest.approx(30, abs=1)
        assert camera.read(None) is not None
        camera.close()


@pytest.mark.usefixtures("gstreamer")
def test_a_pipeline_that_cannot_be_parsed_is_refused() -> None:
    with pytest.raises(InputError, match="does not take this pipeline"):
        GStreamerCamera("nosuchelement device=0")


@pytest.mark.usefixtures("gstreamer")
def test_a_source_that_fails_is_a_lost_camera_and_tells_no_password() -> None:
    with pytest.raises(CameraLost) as caught:
        GStreamerCamera("filesrc location=/no/such/file ! decodebin", timeout_s=5.0)
    assert "failed" in caught.value.message
    with pytest.raises(CameraLost) as caught:
        GStreamerCamera(
            "rtspsrc location=rtsp://admin:hunter2@127.0.0.1:9/x user-pw=hunter2 ! decodebin", timeout_s=5.0
        )
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("gstreamer")
def test_an_empty_source_is_a_lost_camera() -> None:
    with pytest.raises(CameraLost, match="delivers no picture"):
        GStreamerCamera("videotestsrc num-buffers=0", live=False)


def test_without_the_binding_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    with pytest.raises(CameraLost, match="not installed") as caught:
        GStreamerCamera("videotestsrc")
    assert "python3-gi" in caught.value.hint


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize(
    ("damage", "counted"), [("breakmydata skip=600 probability=0.05 seed=1 ! ", True), ("", False)]
)
def test_what_cannot_be_decoded_is_counted(damage: str, counted: bool) -> None:
    with as_file(files("edgesdk_agent.cameras").joinpath("clips", "bars.h264")) as clip:
        text = f'filesrc location="{clip}" ! h264parse ! {damage}avdec_h264'
        camera = GStreamerCamera(text, live=False)
        while camera.read(None) is not None:
            continue
        camera.close()
    assert (camera.counts.corrupt > 0) is counted


@pytest.mark.usefixtures("gstreamer")
def test_a_model_can_be_loaded_after_a_camera_was_opened(tmp_path: Path) -> None:
    """OpenVINO crashes where its libraries come after GStreamer's: in a process of its own."""
    pytest.importorskip("openvino")
    bundle = write_tiny_bundle(tmp_path / "c.edgebundle", variants=(("x86-cpu", Runtime.OPENVINO),))
    program = (
        "import sys\n"
        "from edgesdk_agent.cameras import gstreamer, gstreamer_library\n"
        "gstreamer_library.beside_model = sys.argv[2] == 'beside'\n"
        "gstreamer.GStreamerCamera('videotestsrc num-buffers=3', live=False).close()\n"
        "print('openvino' in sys.modules)\n"
        "if sys.argv[2] == 'beside':\n"
        "    from edgesdk_targets.model import load_model\n"
        "    print(load_model(sys.argv[1]).runtime.value)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(how: str) -> list[str]:
        command = [sys.executable, "-c", program, str(bundle), how]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()

    assert run("beside") == ["True", "openvino"]
    assert run("alone") == ["False"]
