"""What looks after the agent is told what may change while it runs: paused cameras, and the rates that are wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.config.data_folders import data_folders
from edgesdk_agent.config.loading import load_config
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.health.camera_rates import CameraRates
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.health.finding import Level
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.oversight import Oversight, Watched
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.vitals import VitalsReader
from edgesdk_testkit.slots import Script

CAMERAS = {"gate": "synthetic:?fps=50", "yard": "synthetic:?fps=50"}


def _config(**flags: object) -> AgentConfig:
    cameras = [{"name": name, "source": source} for name, source in CAMERAS.items()]
    given = {"bundle": "b", "cameras": cameras, "health.status_file": False, "health.watchdog": "off", **flags}
    return load_config(None, flags=given, environment={}, no_mqtt=True).config


@pytest.fixture
def cameras() -> dict[str, Camera]:
    return {name: open_camera(source, live=True) for name, source in CAMERAS.items()}


def test_a_camera_that_is_paused_is_no_fault_however_long_it_is_silent(cameras: dict[str, Camera]) -> None:
    paused: set[str] = set()
    with Pipeline(Script().slots(3), cameras, on_result=lambda _: None) as pipeline:
        watched = Watched(
            config=_config,
            pipeline=pipeline,  # type: ignore[arg-type]  # the pipeline without its face
            model=None,  # type: ignore[arg-type]  # nobody changes it here
            cameras=cameras,
            paused=lambda: frozenset(paused),
            vitals=VitalsReader(),
            counts=CountRegistry(),
            tell=lambda *_, **__: None,
            broker=None,
            outbox=None,
            model_taken=lambda _: None,
            end=lambda: None,
            trust=ClockTrust(),
        )
        oversight = Oversight(watched, version="0")
        pipeline.stop()
    oversight.monitor.look()
    # A day later no picture has come from either.
    later = oversight._reader._clock() + 86400
    oversight._reader._clock = lambda: later

    def levels() -> dict[str, Level]:
        found = oversight.monitor.look().findings
        return {one.subject: one.level for one in found if one.check == "cameras_producing"}

    assert levels() == {"gate": Level.FAILING, "yard": Level.FAILING}
    paused.add("yard")
    later += 1
    assert levels() == {"gate": Level.FAILING, "yard": Level.OK}


def test_the_rate_that_is_wanted_is_that_of_now(cameras: dict[str, Camera]) -> None:
    config = [_config()]
    rates = CameraRates(cameras, lambda: config[0])
    assert rates.of("gate") == 50
    slow = config[0].cameras[0].model_copy(update={"detect_fps": 2.0})
    config[0] = config[0].model_copy(update={"cameras": (slow, config[0].cameras[1])})
    assert (rates.of("gate"), rates.of("yard")) == (2.0, 50)
    cameras["yard"]._info = replace(cameras["yard"].info, fps=5.0)  # type: ignore[attr-defined]
    assert rates.live() == {"gate": 2.0, "yard": cameras["yard"].info.fps}


def test_the_disks_that_count_are_those_of_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert data_folders(_config()) == ()
    kept = {
        "outbox.path": str(tmp_path / "a/outbox.db"),
        "commands.state": str(tmp_path / "b"),
        "pictures.enabled": True,
        "pictures.folder": str(tmp_path / "c"),
    }
    assert data_folders(_config(**kept)) == (tmp_path / "a", tmp_path / "b", tmp_path / "c")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert data_folders(_config()) == (tmp_path,)
