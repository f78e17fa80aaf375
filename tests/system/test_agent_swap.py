"""The governor under load: another bundle, with an input of another size, takes over where no frame may be lost."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from edgesdk.conversion import convert
from edgesdk.fleet.broker import Broker
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.mqtt_listener import Heard, MqttListener

pytestmark = pytest.mark.system

AFTER = 60


def smaller_detector(examples: Path, folder: Path) -> Path:
    """Return a bundle of the same detector, for pictures of half the size."""
    shutil.copytree(examples, folder)
    model = folder / "digits_models.py"
    # Of another name: Python has the other one by its name already.
    (folder / "small_digits_models.py").write_text(model.read_text().replace("192, 256, 8", "96, 128, 8"))
    card = folder / "detector.yaml"
    text = card.read_text().replace("192, 256", "96, 128").replace("digits_models", "small_digits_models")
    card.write_text(text.replace("digits-detector", "digits-detector-small"))
    return convert(card, ["generic-onnx"], output=folder / "out").path


def of_bundle(heard: list[Heard], name: str) -> list[int]:
    return [one.body["frame"] for one in heard if one.channel == "up/result" and one.body["bundle"]["name"] == name]


def test_the_governor_swaps_to_another_input_size_and_every_frame_is_accounted_for(
    digits_bundle: Path, root: Path, tmp_path: Path
) -> None:
    small = smaller_detector(root / "examples/digits", tmp_path / "digits")
    config = tmp_path / "edgesdk.yaml"
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        # An age budget that nothing holds: the governor steps down as soon as it may, and never up again.
        config.write_text(
            f"bundle: {digits_bundle}\n"
            "cameras: [{name: belt, source: 'conveyor:?fps=60', mode: every_frame}]\n"
            f"mqtt: {{url: '{broker.address}'}}\n"
            "health: {interval_s: 0.5, age_budget_ms: 1}\n"
            f"governor: {{enabled: true, ladder: [{{bundle: '{small}'}}]}}\n"
        )
        with AgentProcess("--config", config) as agent:
            listener.wait_until(lambda all_: len(of_bundle(all_, "digits-detector-small")) >= AFTER, 60.0)
            agent.send(signal.SIGTERM)
            code, summary = agent.finish(60)
        heard = listener.wait_until(lambda all_: any(one.body.get("state") == "offline" for one in all_))
    assert code == 0, agent.log
    first, then = of_bundle(heard, "digits-detector"), of_bundle(heard, "digits-detector-small")
    # To the frame: none lost, none twice, in order, and the one model's after the other's.
    assert first
    assert first + then == list(range(summary["frames"]["captured"]))
    assert summary["frames"]["processed"] == summary["frames"]["captured"]
    assert summary["frames"]["dropped"] == {}
    assert summary["reports"]["delivered"]["result"] == len(first + then)
    assert (summary["reports"]["undelivered"], summary["reports"]["lost"]) == (0, {})
    # What both models are asked is the same, and both find digits on the belt.
    assert all(any(one.body["result"]["objects"] for one in heard if is_of(one, name)) for name in NAMES)


NAMES = ("digits-detector", "digits-detector-small")


def is_of(one: Heard, name: str) -> bool:
    return one.channel == "up/result" and one.body["bundle"]["name"] == name
