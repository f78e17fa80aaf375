"""A real video through the real agent: every frame, from a file and from an RTSP server; and live, with a slow model."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import pytest
from real_models import card_for

from edgesdk.fleet.broker import Broker
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline import Pipeline
from edgesdk_converters.convert import convert
from edgesdk_targets.model import load_model
from edgesdk_targets.results import Result
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.required import missing
from edgesdk_testkit.rtsp_server import RtspServer, missing_part
from edgesdk_testkit.system_gstreamer import run_pipeline

pytestmark = [pytest.mark.real, pytest.mark.system]

VIDEO = "video/bottle-detection.mp4"
FRAMES = 1189
# A server plays at the film's own rate: a third of it, 13 seconds.
SERVED_FRAMES = 400
SLOW_S = 0.1


@pytest.fixture(scope="module")
def bundle(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fastestdet")
    return convert(card_for("fastestdet", assets, folder), "x86-cpu", output=folder, precision="fp32").path


@pytest.fixture(scope="module")
def beginning(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return the film's beginning, as it is encoded, and how many pictures can be decoded of it."""
    if (why := missing_part()) is not None:
        missing(why)
    out = tmp_path_factory.mktemp("film") / "beginning.mp4"
    film = f'filesrc location="{assets / VIDEO}" ! qtdemux ! h264parse ! identity name=limit'
    run_pipeline(f'{film} ! mp4mux ! filesink location="{out}"', pictures=SERVED_FRAMES)
    capture, count = cv2.VideoCapture(str(out)), 0
    while capture.grab():
        count += 1
    # The last one may refer to what was cut off.
    assert SERVED_FRAMES - 3 <= count <= SERVED_FRAMES
    return out, count


def _every_frame(bundle: Path, source: str, *more: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess(
            "--bundle", bundle, "--source", source, "--mode", "every_frame", "--broker", broker.address, *more
        ) as agent:
            code, summary = agent.finish(300)
        assert code == 0, agent.log
        return [one.body for one in listener.wait_for("up/result", summary["frames"]["processed"])], summary


def test_every_frame_of_a_file_arrives_in_order_without_a_gap(bundle: Path, assets: Path) -> None:
    results, summary = _every_frame(bundle, str(assets / VIDEO))
    assert [result["frame"] for result in results] == list(range(FRAMES))
    assert summary["frames"] == {"captured": FRAMES, "processed": FRAMES, "dropped": {}, "in_flight": 0}
    objects = [o["label"] for result in results for o in result["result"]["objects"]]
    # The model sees what is there: bottles, and the person who moves them.
    assert objects.count("bottle") > FRAMES
    assert objects.count("person") > FRAMES / 2


class _SlowSlot:
    """A model's slot whose inference takes at least 100 ms, without holding Python's lock, as a bigger model would."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot
        self.prepare = slot.prepare

    def infer(self, camera: str, seq: int) -> Result:
        until = time.monotonic() + SLOW_S
        result = self._slot.infer(camera, seq)
        time.sleep(max(0.0, until - time.monotonic()))
        return result


def _slow_run(bundle: Path, video: Path, slots: int, policy: Any) -> tuple[list[FrameResult], Any, float]:
    found: list[FrameResult] = []
    with load_model(bundle) as model:
        camera = open_camera(str(video), live=True)
        assert camera.info.fps is not None
        interval = 1 / camera.info.fps
        wrapped = [_SlowSlot(slot) for slot in model.slots(slots)]
        with Pipeline(wrapped, camera, on_result=found.append, policy=policy) as pipeline:
            while not pipeline.wait(1.0):
                pass
        return found, pipeline.stats(), interval


@pytest.fixture(scope="module")
def live_runs(bundle: Path, assets: Path) -> tuple[list[FrameResult], Any, float]:
    return _slow_run(bundle, assets / VIDEO, 3, "freshest")


@pytest.mark.paced
def test_live_with_a_slow_model_the_age_stays_bounded_for_the_whole_file(
    live_runs: tuple[list[FrameResult], Any, float],
) -> None:
    found, _, interval = live_runs
    over = [f.age_s - (f.infer_s + 2 * interval) for f in found]
    # A loaded machine may hold up a frame now and then; it must stay rare, and must not build up.
    assert sum(excess > 0 for excess in over) <= 0.01 * len(found), sorted(over)[-5:]
    quarter = len(found) // 4
    first, last = ([f.age_s for f in part] for part in (found[:quarter], found[-quarter:]))
    assert statistics.median(last) - statistics.median(first) < interval


@pytest.mark.paced
def test_live_with_a_slow_model_every_frame_is_accounted_for(live_runs: tuple[list[FrameResult], Any, float]) -> None:
    found, stats, _ = live_runs
    assert stats.captured == FRAMES
    assert stats.captured == stats.processed + sum(stats.dropped.values())
    assert stats.processed == len(found)
    seqs = [f.seq for f in found]
    assert seqs == sorted(set(seqs)), "no frame is reported twice"


@pytest.mark.paced
def test_every_frame_of_an_rtsp_server_arrives_in_order_without_a_gap(
    bundle: Path, beginning: tuple[Path, int], tmp_path: Path
) -> None:
    film, frames = beginning
    with RtspServer(film) as url, Broker(port=0) as broker:
        config = tmp_path / "edgesdk.yaml"
        # A recording behind a server: its end is an end.
        config.write_text(
            f"bundle: {bundle}\ncameras: [{{name: server, source: '{url}', mode: every_frame, live: false}}]\n"
            f"mqtt: {{url: '{broker.address}'}}\n"
        )
        with MqttListener(broker.address.host, broker.address.port) as listener:
            with AgentProcess("--config", config) as agent:
                code, summary = agent.finish(180)
            assert code == 0, agent.log
            results = [one.body for one in listener.wait_for("up/result", summary["frames"]["processed"])]
    assert [result["frame"] for result in results] == list(range(frames))
