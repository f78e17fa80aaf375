"""The agent at its start, beside cameras that never answer: nothing waits for them, and a stop does not either."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.camera_pictures import grey
from edgesdk_testkit.mjpeg_server import MjpegServer
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

pytestmark = pytest.mark.system

# An attempt to open an address waits ten seconds for an answer.
DEAD = 3


@pytest.fixture
def dead() -> Iterator[list[str]]:
    """Addresses at which somebody listens and never answers."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(DEAD)]
        yield [f"rtsp://127.0.0.1:{one.getsockname()[1]}/camera" for one in sockets]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(port=0) as one:
        yield one


def write_config(folder: Path, broker: Broker, cameras: dict[str, str]) -> Path:
    bundle = folder / "cnn-1.0.0.edgebundle"
    if not bundle.exists():
        write_tiny_bundle(bundle)
    listed = "".join(f"  - {{name: {name}, source: '{source}'}}\n" for name, source in cameras.items())
    config = folder / f"{len(cameras)}.yaml"
    config.write_text(
        f"bundle: {bundle}\ncameras:\n{listed}mqtt: {{url: '{broker.address}'}}\npipeline: {{tune: 'off'}}\n"
    )
    return config


def first_result_s(config: Path, broker: Broker) -> tuple[float, dict[str, str]]:
    """Return how long the first result took from the start of the process, and what the cameras' states were then."""
    with MqttListener(broker.address.host, broker.address.port) as listener:
        began = time.monotonic()
        with AgentProcess("--config", config) as agent:
            listener.wait_for("up/result", 1)
            took = time.monotonic() - began
            tele = listener.wait_for("up/tele", 1)[0].body
            agent.send(signal.SIGTERM)
            code, _ = agent.finish(30)
    assert code == 0, agent.log
    return took, {name: camera["state"] for name, camera in tele["samples"][0]["cameras"].items()}


def test_dead_cameras_do_not_delay_the_first_result_of_another(tmp_path: Path, broker: Broker, dead: list[str]) -> None:
    with MjpegServer(grey) as server:
        gate = {"gate": f"http://127.0.0.1:{server.port}/video.mjpg"}
        alone_s, _ = first_result_s(write_config(tmp_path, broker, gate), broker)
        named = {f"dead{number}": address for number, address in enumerate(dead)}
        # The dead ones come first in the configuration.
        beside_s, states = first_result_s(write_config(tmp_path, broker, {**named, **gate}), broker)
    assert beside_s < 2 * alone_s + 1, (alone_s, beside_s)
    assert states == {**dict.fromkeys(named, "connecting"), "gate": "online"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_every_camera_is_being_opened_is_answered_at_once(
    tmp_path: Path, broker: Broker, dead: list[str], number: signal.Signals
) -> None:
    named = {f"dead{index}": address for index, address in enumerate(dead)}
    with MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess("--config", write_config(tmp_path, broker, named)) as agent:
            births = listener.wait_for("up/birth", 1)
            assert [camera["name"] for camera in births[0].body["cameras"]] == list(named)
            told = time.monotonic()
            agent.send(number)
            code, summary = agent.finish(30)
            took_s = time.monotonic() - told
        states = listener.wait_until(lambda all_: any(one.body.get("state") == "offline" for one in all_))
    assert code == 0, agent.log
    assert summary["camera_states"] == dict.fromkeys(named, "connecting")
    assert [one.body["state"] for one in states if one.channel == "up/state"] == ["online", "offline"]
    # A service manager kills after ten seconds, which is what one attempt to open alone takes.
    assert took_s < 8


def test_where_no_camera_answers_the_agent_ends_and_has_told_why(tmp_path: Path, broker: Broker) -> None:
    refused = {"one": "http://127.0.0.1:9/x", "two": "http://u:secret@127.0.0.1:9/y"}
    with MqttListener(broker.address.host, broker.address.port) as listener:
        with AgentProcess("--config", write_config(tmp_path, broker, refused)) as agent:
            code, _ = agent.finish(60)
        heard = listener.wait_until(lambda all_: any(one.body.get("state") == "offline" for one in all_))
    assert code == 1, agent.log
    assert "127.0.0.1:9/x does not deliver video" in agent.log
    assert "secret" not in agent.log
    assert "camera_lost" in [one.body["name"] for one in heard if one.channel == "up/event"]
