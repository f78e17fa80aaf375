"""The real agent with a runtime that dies, is killed, hangs or answers nonsense: it starts on the next, and says why."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from edgesdk.fleet.broker import Broker
from edgesdk_targets.target import Runtime
from edgesdk_testkit.agent_process import AgentProcess
from edgesdk_testkit.fake_runtimes import openvino_package
from edgesdk_testkit.mqtt_listener import MqttListener
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="OpenVINO's variant is the first choice on x86 only"),
]
pytest.importorskip("onnxruntime")

VARIANTS = (("x86-cpu", Runtime.OPENVINO), ("generic-onnx", Runtime.ONNXRUNTIME))
PATIENCE_S = 3
# A start with a hang takes the probe's patience and two starts of Python; generous for a slow machine.
BOUND_S = 60.0


def _agent(bundle: Path, folder: Path, broker: Broker, frames: int) -> AgentProcess:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "EDGESDK_PIPELINE__PROBE_TIMEOUT_S": str(PATIENCE_S),
    }
    source = f"conveyor:?frames={frames}&fps=1000&live=0"
    return AgentProcess("--bundle", bundle, "--source", source, "--broker", broker.address, env=environment)


@pytest.mark.parametrize(
    ("act", "phase", "said"),
    [
        ("SIGILL", "import", "openvino died of an illegal instruction (SIGILL) while it was imported"),
        ("137", "load", "openvino was killed while it loaded, most likely because memory ran out"),
        ("hangs", "load", f"openvino did not answer within {PATIENCE_S} s while it loaded"),
        ("fine", "run", "openvino cannot be trusted with it: its output 'logits' holds NaN values"),
    ],
    ids=["SIGILL", "exit 137", "hang", "NaN"],
)
def test_the_agent_starts_on_the_next_runtime_and_says_why(tmp_path: Path, act: str, phase: str, said: str) -> None:
    bundle = write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle", variants=VARIANTS)
    folder = openvino_package(tmp_path / "fake", act, phase)
    with Broker(port=0) as broker, MqttListener(broker.address.host, broker.address.port) as listener:
        started = time.monotonic()
        with _agent(bundle, folder, broker, 20) as agent:
            results = listener.wait_for("up/result", 1, BOUND_S)
            took = time.monotonic() - started
            code, summary = agent.finish()
        heard = listener.wait_until(lambda all_: any(h.body.get("state") == "offline" for h in all_))
    assert code == 0, agent.log
    assert took < BOUND_S
    assert results
    assert summary["frames"]["processed"] == 20
    assert summary["variant"] == "generic-onnx-onnxruntime-fp32"
    birth = next(one.body for one in heard if one.channel == "up/birth")
    assert (birth["variant"], birth["runtime"]) == ("generic-onnx-onnxruntime-fp32", "onnxruntime")
    events = [one.body for one in heard if one.channel == "up/event" and one.body["name"] == "variant_failed"]
    assert [one["severity"] for one in events] == ["warning"]
    assert said in events[0]["message"]
    assert said in agent.log
    assert "Traceback" not in agent.log


def test_the_second_start_knows_it(tmp_path: Path) -> None:
    """The hang is waited for once: the second start finds its answer, and says the same."""
    bundle = write_tiny_bundle(tmp_path / "cnn-1.0.0.edgebundle", variants=VARIANTS)
    folder = openvino_package(tmp_path / "fake", "hangs", "load")
    logs = []
    with Broker(port=0) as broker:
        for _ in range(2):
            with _agent(bundle, folder, broker, 5) as agent:
                code, _ = agent.finish()
            assert code == 0, agent.log
            logs.append(agent.log)
    tries = ["in a process of its own" in log for log in logs]
    assert tries == [True, False]
    assert all("openvino did not answer within" in log for log in logs)
