"""The agent with two models in a row: what it reports is what the chain answers."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgesdk
from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import MqttListener

pytestmark = pytest.mark.system
CARD = Path(__file__).resolve().parents[2] / "examples" / "digits" / "classifier.yaml"
CONFIG = """\
bundle: {detector}
target: generic-onnx
then: {{bundle: {classifier}, classes: ["0", "1", "2", "3", "4"], margin: 0.2, square: true}}
cameras: [{{name: belt, source: "conveyor:?seed=5&frames=30&live=0"}}]
pipeline: {{tune: "off", probe_timeout_s: 0}}
mqtt: {{url: "{broker}"}}
"""


def test_each_detection_is_reported_with_its_answer(digits_bundle: Path, tmp_path: Path) -> None:
    classifier = edgesdk.convert(CARD, "generic-onnx", output=tmp_path).path
    config = tmp_path / "edgesdk.yaml"
    with Broker(port=0) as broker, MqttListener("127.0.0.1", broker.port) as listener:
        # The second model's path is relative to the file.
        text = CONFIG.format(detector=digits_bundle, classifier=classifier.name, broker=broker.address)
        config.write_text(text, "utf-8")
        with AgentProcess("--config", config) as agent:
            code, summary = agent.finish()
            assert code == 0, agent.log
        heard = listener.wait_for("up/result", 30)
    assert summary["frames"]["processed"] == 30
    detector, reader = summary["settings"]
    assert detector["variant"] == summary["variant"]
    assert reader["streams"] == detector["streams"], "each lane asks it in its turn"
    objects = [one for message in heard for one in message.body["result"]["objects"]]
    asked = [one for one in objects if one["then"] is not None]
    assert {message.body["result"]["kind"] for message in heard} == {"chain"}
    assert {one["label"] for one in asked} <= set("01234")
    assert {one["label"] for one in objects if one["then"] is None} <= set("56789")
    assert asked
    # Two models that were trained apart agree on nearly all.
    agree = sum(one["then"]["classes"][0]["label"] == one["label"] for one in asked)
    assert agree / len(asked) > 0.8
