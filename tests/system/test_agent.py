"""The agent as a process, with a real broker and a plain MQTT client."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.slots import wait_until

pytestmark = pytest.mark.system


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_every_frame_arrives_once_in_order_with_the_devices_story_around_it(
    digits_bundle: Path, kind: str, needs_program: object
) -> None:
    if kind == "mosquitto":
        needs_program("mosquitto", "mosquitto")
    with Broker(port=0, kind=kind) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess(
            "--bundle", digits_bundle, "--source", "conveyor:?frames=60&fps=1000&live=0", "--broker", broker.address,
            "--name", "device-7", "--telemetry-interval", "1",
        ) as agent:  # fmt: skip
            code, summary = agent.finish()
        assert code == 0, agent.log
        results = listener.wait_for("up/result", 60)
        states = listener.wait_until(lambda all_: any(h.body.get("state") == "offline" for h in all_))
    assert [one.body["frame"] for one in results] == list(range(60))
    seqs = [one.body["seq"] for one in results]
    assert seqs == sorted(set(seqs))
    assert {one.body["epoch"] for one in states} == {results[0].body["epoch"]}
    assert results[0].topic == "edgesdk/1/local.device-7/up/result"
    assert summary["frames"] == {"captured": 60, "processed": 60, "dropped": {}, "in_flight": 0}
    assert summary["reports"]["delivered"]["result"] == 60
    assert summary["reports"]["undelivered"] == 0
    birth = next(one.body for one in states if one.channel == "up/birth")
    assert birth["bundle"]["name"] == "digits-detector"
    assert [one.body["state"] for one in states if one.channel == "up/state"] == ["online", "offline"]
    sample = [one.body for one in states if one.channel == "up/tele"][-1]["samples"][-1]
    assert (sample["captured"], sample["processed"]) == (60, 60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_agent_delivers_its_last_results_and_says_goodbye(
    digits_bundle: Path, number: signal.Signals
) -> None:
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess(
            "--bundle", digits_bundle, "--source", "conveyor:?fps=30", "--broker", broker.address
        ) as agent:
            listener.wait_for("up/result", 10)
            agent.send(number)
            code, summary = agent.finish(30)
        assert code == 0, agent.log
        delivered = summary["reports"]["delivered"]["result"]
        results = listener.wait_for("up/result", delivered)
        last = listener.wait_until(lambda all_: any(h.body.get("state") == "offline" for h in all_))
    assert len(results) == delivered == summary["frames"]["processed"]
    assert next(h.body["reason"] for h in last if h.body.get("state") == "offline") == "stopped"
    assert "Traceback" not in agent.log


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_says_goodbye(
    digits_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "blocks.py").write_text(
        "import pathlib, threading\n\ndef filter(frame):\n"
        "    pathlib.Path(__file__).with_name('reached').touch()\n    threading.Event().wait()\n"
    )
    config = tmp_path / "edgesdk.yaml"
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config.write_text(
            f"bundle: {digits_bundle}\nhooks_path: .\ncameras:\n  - {{name: belt, source: 'conveyor:?fps=30'}}\n"
            f"mqtt: {{url: '{broker.address}'}}\nstages: {{on_result: 'blocks:filter'}}\n"
        )
        with AgentProcess("--config", config) as agent:
            listener.wait_for("up/birth", 1)
            wait_until((tmp_path / "reached").exists, "the filter to block")
            agent.send(number)
            # The first signal is taken before the second is sent: two of a kind that wait are one.
            threading.Event().wait(0.5)
            agent.send(number)
            code, _ = agent.finish(30)
        assert code == 128 + number
        listener.wait_until(lambda all_: any(h.body.get("reason") == "stopped" for h in all_))


def test_a_killed_agent_is_told_offline_by_its_will(digits_bundle: Path, tmp_path: Path) -> None:
    config = tmp_path / "edgesdk.yaml"
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config.write_text(
            f"bundle: {digits_bundle}\ncameras:\n  - {{name: belt, source: 'conveyor:?fps=30'}}\n"
            f"mqtt: {{url: '{broker.address}', will_delay_s: 0}}\n"
        )
        with AgentProcess("--config", config) as agent:
            listener.wait_for("up/result", 3)
            agent.send(signal.SIGKILL)
            agent.finish()
            listener.wait_until(lambda all_: any(h.body.get("reason") == "connection lost" for h in all_))


def test_the_agent_outlives_its_broker_and_reports_what_waited(digits_bundle: Path) -> None:
    with Broker(port=0) as first:
        port = first.port
        with (
            MqttListener(first.address.host, port) as listener,
            # Every frame: one that a busy machine replaced would look like one that was not reported.
            AgentProcess(
                "--bundle",
                digits_bundle,
                "--source",
                "conveyor:?fps=30",
                "--mode",
                "every_frame",
                "--broker",
                first.address,
            ) as agent,  # fmt: skip
        ):
            before = listener.wait_for("up/result", 10)
            first.stop()
            with Broker(port=port):
                after = listener.wait_until(lambda all_: sum(h.channel == "up/birth" for h in all_) >= 2, 60)
                grown = listener.wait_for("up/result", sum(h.channel == "up/result" for h in after) + 30, 60)
                agent.send(signal.SIGTERM)
                code, summary = agent.finish(30)
                listener.wait_for("up/result", 1)
    assert code == 0, agent.log
    frames = [one.body["frame"] for one in grown]
    # At least once: what was under way when the broker died may come twice, but nothing is missing in between.
    assert set(range(frames[0], max(frames) + 1)) == set(frames)
    assert len(before) < len(grown)
    assert summary["reports"]["undelivered"] == 0


def test_several_cameras_report_under_their_own_names(digits_bundle: Path) -> None:
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess(
            "--bundle", digits_bundle, "--broker", broker.address,
            "--source", "conveyor:?frames=20&live=0&seed=1", "--source", "conveyor:?frames=20&live=0&seed=2",
        ) as agent:  # fmt: skip
            code, summary = agent.finish()
        assert code == 0, agent.log
        results = listener.wait_for("up/result", 40)
    for name in ("camera1", "camera2"):
        assert [one.body["frame"] for one in results if one.body["camera"] == name] == list(range(20))
    assert summary["frames"]["processed"] == 40


@pytest.mark.alone
def test_a_camera_that_is_down_at_the_start_leaves_the_others_their_whole_duration(
    digits_bundle: Path, tmp_path: Path
) -> None:
    config = tmp_path / "edgesdk.yaml"
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        config.write_text(
            f"bundle: {digits_bundle}\ncameras:\n  - {{name: belt, source: 'conveyor:?fps=20'}}\n"
            "  - {name: gone, source: 'http://u:secret@127.0.0.1:9/x'}\n"
            f"mqtt: {{url: '{broker.address}'}}\n"
        )
        with AgentProcess("--config", config, "--duration", "2") as agent:
            code, summary = agent.finish(30)
        event = listener.wait_for("up/event", 1)[0].body
    assert code == 0, agent.log
    # Two seconds of frames, with the slack of a machine that stalls, however long loading and the other camera took.
    assert 30 <= summary["cameras"]["belt"]["frames"]["captured"] <= 56
    assert summary["cameras"]["gone"]["frames"]["captured"] == 0
    assert (event["name"], event["severity"], event["camera"]) == ("camera_offline", "error", "gone")
    assert "secret" not in agent.log
