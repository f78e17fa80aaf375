"""Decoders are proven before they are used, and what is refused is told with its reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from edgesdk_agent.cameras import decoder_probe
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.decoder_probe import choose, try_chain
from edgesdk_agent.cameras.decoders import CODECS, DECODERS, HARDWARE, SOFTWARE, Codec, Decoder, DecoderChain
from edgesdk_agent.cameras.decoding import open_decoded
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_testkit.camera_pictures import FRAMES, numbers, write_video
from edgesdk_testkit.system_packages import gstreamer_on_path

# PyGObject's own importer is older than the interpreter.
pytestmark = pytest.mark.filterwarnings("ignore:DynamicImporter:ImportWarning")

_SOFTWARE = DECODERS["gstreamer"]["h264"][0]


@pytest.fixture
def gstreamer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(decoder_probe, "_tried", {})
    with gstreamer_on_path():
        yield


def test_every_decoder_has_elements_for_every_codec() -> None:
    assert set(DECODERS) == set(get_args(Decoder)) - {"auto", "software"}
    assert set(HARDWARE) < set(DECODERS)
    assert all(chains.keys() == CODECS.keys() and all(chains.values()) for chains in DECODERS.values())


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize("codec", get_args(Codec))
def test_software_decodes_a_clip_in_a_child_and_auto_falls_back_to_it(codec: Codec) -> None:
    assert choose("gstreamer", codec).chain is not None
    assert choose("auto", codec).chain is not None


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize("kind", HARDWARE)
def test_hardware_that_is_not_here_is_refused_by_name(kind: Decoder) -> None:
    choice = choose(kind, "h264")
    if choice.chain is not None:
        pytest.skip("this machine has that decoder")
    assert any(DECODERS[kind]["h264"][0].element in reason for reason in choice.reasons)


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize(
    ("behind", "says"),
    [
        ("videobalance saturation=0", "its pictures are wrong"),
        ("identity error-after=3", "failed"),
        ("identity eos-after=5", "pictures"),
    ],
)
def test_a_decoder_that_delivers_nonsense_or_fails_is_refused(behind: str, says: str) -> None:
    reason = try_chain("h264", DecoderChain("broken", f"{_SOFTWARE.text} ! videoconvert ! {behind}"))
    assert reason.startswith("broken: ")
    assert says in reason


@pytest.mark.usefixtures("gstreamer")
def test_a_decoder_that_hangs_is_ended() -> None:
    hanging = DecoderChain("hanging", f"{_SOFTWARE.text} ! identity sleep-time=60000000")
    assert try_chain("h264", hanging, limit_s=1.0) == "hanging hung for 1 s"


def test_a_decoder_that_crashes_is_a_reason_and_not_our_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_probe, "_CHILD", "edgesdk_testkit.dying_child")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
    assert try_chain("h264", _SOFTWARE) == "avdec_h264 died of SIGSEGV"


def test_what_is_asked_for_and_not_usable_is_told_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(*_: str) -> list[str]:
        raise CameraLost("GStreamer's Python binding is not installed.")

    monkeypatch.setattr("edgesdk_agent.cameras.gstreamer_library.lacks", not_installed)
    with caplog.at_level(logging.WARNING):
        camera = open_camera(str(write_video(tmp_path / "a.avi")), decoder="nvdec")
    assert camera.info.decoder.startswith("software (FFmpeg, 1 thread), as nvdec is not usable")
    assert "binding is not installed" in camera.info.decoder
    assert "nvdec is not used" in caplog.text
    assert len(numbers(camera)) == FRAMES


def test_why_auto_decodes_by_software_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(*_: str) -> list[str]:
        raise CameraLost("GStreamer is only half there.")

    monkeypatch.setattr("edgesdk_agent.cameras.gstreamer_library.lacks", not_installed)
    monkeypatch.setattr("edgesdk_agent.cameras.decoding._told", set())
    software: list[str] = []

    def by_software(decoder: str) -> SyntheticCamera:
        software.append(decoder)
        return SyntheticCamera()

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            open_decoded("auto", lambda _: pytest.fail("by GStreamer"), by_software)
    assert software == [SOFTWARE] * 3
    (told,) = [one for one in caplog.records if "only half there" in one.getMessage()]
    assert told.levelno == logging.INFO
    assert told.getMessage().startswith("pictures are decoded by software (FFmpeg): ")


@pytest.mark.usefixtures("gstreamer")
def test_a_film_of_another_codec_is_decoded_by_software(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "a.avi", "MJPG")), decoder="gstreamer")
    assert "image/jpeg is decoded by software only" in camera.info.decoder
    assert len(numbers(camera)) == FRAMES


def test_an_unknown_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no decoder 'cuda'"):
        open_camera(str(write_video(tmp_path / "a.avi")), decoder="cuda")
