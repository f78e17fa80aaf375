"""The agent as a process, with user code that its configuration names."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.slots import wait_until

pytestmark = pytest.mark.system

USER_CODE = """
import os
import pathlib
import threading

NOTES = pathlib.Path(__file__).parent

def note(frame):
    with (NOTES / "noted").open("a") as file:
        file.write(f"{frame.seq} {os.getpid()} {frame.image is not None} {len(frame.result)}\\n")

def crash(frame):
    if frame.seq == 5:
        os._exit(1)

def hang(frame):
    threading.Event().wait()

def dark(frame):
    if frame.seq % 2:
        return None
    frame.image[:] = 0
    return frame.image

def stuck(frame):
    if (frame.camera, frame.seq) == ("belt", 7):
        threading.Event().wait()
    return frame if hasattr(frame, "result") else frame.image

def no_picture(frame):
    return "no picture"

def not_ten(frame):
    return None if frame.seq == 10 else frame
"""


def configuration(folder: Path, bundle: Path, broker: object, hooks: str) -> Path:
    (folder / "code").mkdir()
    (folder / "code/users_code.py").write_text(USER_CODE)
    config = folder / "edgesdk.yaml"
    config.write_text(
        f"bundle: {bundle}\nhooks_path: code\nmqtt: {{url: '{broker}'}}\n"
        "cameras:\n  - {name: belt, source: 'conveyor:?frames=40&fps=1000&live=0'}\n" + hooks
    )
    return config


def test_hooks_run_beside_the_reports_and_their_faults_are_told_as_events(digits_bundle: Path, tmp_path: Path) -> None:
    hooks = """
hooks:
  - {call: "users_code:note", image: true}
  - {call: "users_code:crash"}
  - {call: "users_code:hang", isolate: thread, timeout_s: 0.5}
"""
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config = configuration(tmp_path, digits_bundle, broker.address, hooks)
        with AgentProcess("--config", config) as agent:
            code, summary = agent.finish()
            pid = agent.pid
        assert code == 0, agent.log
        assert len(listener.wait_for("up/result", 40)) == 40
        events = listener.wait_for("up/event", 2)
    assert summary["frames"]["processed"] == 40
    told = {one.body["data"]["hook"]: one.body["name"] for one in events}
    assert told == {"users_code:crash": "hook_crashed", "users_code:hang": "hook_hung"}
    noted = [line.split() for line in (tmp_path / "code/noted").read_text().splitlines()]
    assert [int(line[0]) for line in noted] == list(range(40))
    assert {line[2] for line in noted} == {"True"}
    assert {int(line[1]) for line in noted}.isdisjoint({pid})
    counts = summary["hooks"]
    assert counts["users_code:note"] == {
        "delivered": 40,
        "failed": 0,
        "hung": 0,
        "dropped": 0,
        "filtered": 0,
        "waiting": 0,
    }
    assert (counts["users_code:crash"]["failed"], counts["users_code:hang"]["hung"]) == (1, 1)
    for one in counts.values():
        assert sum(one.values()) == 40


@pytest.mark.parametrize("isolate", ["inline", "process"])
def test_stages_decide_what_the_model_sees_and_what_is_told(digits_bundle: Path, tmp_path: Path, isolate: str) -> None:
    stages = f"stages: {{on_frame: 'users_code:dark', on_result: 'users_code:not_ten', isolate: {isolate}}}\n"
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config = configuration(tmp_path, digits_bundle, broker.address, stages)
        with AgentProcess("--config", config) as agent:
            code, summary = agent.finish()
        assert code == 0, agent.log
        results = listener.wait_for("up/result", 19)
    assert [one.body["frame"] for one in results] == [seq for seq in range(0, 40, 2) if seq != 10]
    assert {len(one.body["result"]["objects"]) for one in results} == {0}
    assert summary["frames"] == {"captured": 40, "processed": 20, "dropped": {"filtered": 20}, "in_flight": 0}
    # Of the results a stage kept back one: no frame was lost with it.
    assert summary["results_filtered"] == 1


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ("hooks: [{call: 'users_code:absent'}]\n", "has no absent"),
        ("hooks: [{call: 'absent:note'}]\n", "There is no module absent"),
        ("stages: {on_frame: 'absent:dark'}\n", "There is no module absent"),
    ],
)
def test_a_hook_that_cannot_be_is_refused_at_the_start(
    digits_bundle: Path, tmp_path: Path, hooks: str, said: str
) -> None:
    config = configuration(tmp_path, digits_bundle, "mqtt://127.0.0.1:9", hooks)
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, _ = agent.finish()
    assert code == 2
    assert said in agent.log
    assert "Traceback" not in agent.log


def test_sigterm_does_not_wait_for_the_import_of_a_stage(digits_bundle: Path, tmp_path: Path) -> None:
    stages = "stages: {on_frame: 'sleepy:on_frame', isolate: process}\n"
    config, imports = configuration(tmp_path, digits_bundle, "mqtt://127.0.0.1:9", stages), tmp_path / "code/imports"
    (tmp_path / "code/sleepy.py").write_text(
        "import pathlib, time\n(pathlib.Path(__file__).parent / 'imports').touch()\ntime.sleep(600)\n"
    )
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        wait_until(imports.exists, "the import")
        agent.send(signal.SIGTERM)
        code, summary = agent.finish(60)
    assert code == 0, agent.log
    assert summary["frames"]["captured"] == 0
    assert "was not ready before the stop" in agent.log


def test_results_that_a_stage_keeps_back_stand_in_each_hooks_line(digits_bundle: Path, tmp_path: Path) -> None:
    hooks = "hooks: [{call: 'users_code:note'}]\nstages: {on_result: 'users_code:not_ten'}\n"
    config = configuration(tmp_path, digits_bundle, "mqtt://127.0.0.1:9", hooks)
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, summary = agent.finish()
    assert code == 0, agent.log
    told = {"delivered": 39, "failed": 0, "hung": 0, "dropped": 0, "filtered": 1, "waiting": 0}
    assert summary["hooks"] == {"users_code:note": told}


@pytest.mark.parametrize("stage", ["on_frame", "on_result"])
def test_a_stage_that_hangs_is_told_by_name_and_costs_its_camera_alone(
    digits_bundle: Path, tmp_path: Path, stage: str
) -> None:
    stages = "  - {name: gate, source: 'conveyor:?frames=40&fps=1000&live=0'}\n"
    stages += f"stages: {{{stage}: 'users_code:stuck', timeout_s: 0.4}}\n"
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config = configuration(tmp_path, digits_bundle, broker.address, stages)
        with AgentProcess("--config", config) as agent:
            code, summary = agent.finish()
        assert code == 0, agent.log
        (event,) = [one for one in listener.wait_for("up/event", 1) if one.body["name"] == "stage_hung"]
    assert event.body["data"] == {"stage": "users_code:stuck"}
    assert "stage users_code:stuck is hung: It has not returned within 0.4 s from frame 7 of belt" in agent.log
    assert summary["cameras"]["gate"]["frames"]["processed"] == 40
    assert "because the stage users_code:stuck did not return" in agent.log


@pytest.mark.parametrize(("stage", "what"), [("on_frame", "frames"), ("on_result", "results")])
def test_a_stage_that_fails_each_time_is_no_success(digits_bundle: Path, tmp_path: Path, stage: str, what: str) -> None:
    config = configuration(
        tmp_path, digits_bundle, "mqtt://127.0.0.1:9", f"stages: {{{stage}: 'users_code:no_picture'}}\n"
    )
    with AgentProcess("--config", config, "--no-mqtt") as agent:
        code, _ = agent.finish()
    assert code == 4
    assert "stage users_code:no_picture is failing: at frame 0: it returned a str" in agent.log
    assert f"40 {what} were kept back because the stage users_code:no_picture failed" in agent.log
    assert f"error: The stage users_code:no_picture failed with each of 40 {what}." in agent.log
