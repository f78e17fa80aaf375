"""A bundle that is to take over between two frames is refused for what a start would refuse of it; the old one goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.config.loading import load_config
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.steering.running_model import RunningModel
from edgesdk_agent.tuned_model import load_tuned_model
from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

BEFORE = "ant", "bee", "cat", "dog", "eel"
AFTER = "ape", "bee", "cat", "dog", "eel"
ONNX = (("generic-onnx", Runtime.ONNXRUNTIME),)
OTHER = (("x86-cpu", Runtime.ONNXRUNTIME),)
BLUR = {"privacy.blur": ["ant"]}
LADDER = {"governor.enabled": True, "governor.ladder": [{"variant": "generic-onnx-onnxruntime-fp32"}]}


class Pipeline:
    """It only notes which model took over."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def swap_model(self, model: Any, timeout_s: float = 30.0) -> None:
        self.taken.append(model.manifest.version)


def configured(bundle: Path, section: dict[str, Any]) -> AgentConfig:
    flags = {"bundle": str(bundle), "cameras": [{"name": "gate", "source": "synthetic:"}], **section}
    given = {"pipeline.probe_timeout_s": 0, "pipeline.tune": "off", "commands.require_golden": False, **flags}
    return load_config(None, flags=given, environment={}, no_mqtt=True).config


@pytest.mark.parametrize(
    ("section", "other", "says"),
    [
        (BLUR, {"labels": AFTER, "variants": ONNX}, "no class 'ant'"),
        (LADDER, {"labels": BEFORE, "variants": OTHER}, "no variant 'generic-onnx-onnxruntime-fp32'"),
    ],
    ids=["a class to blur", "a rung's variant"],
)
def test_what_a_start_would_refuse_does_not_take_over(
    tmp_path: Path, section: dict[str, Any], other: dict[str, Any], says: str
) -> None:
    before = write_tiny_bundle(tmp_path / "1.edgebundle", variants=ONNX, version="1.0.1")
    same = write_tiny_bundle(tmp_path / "2.edgebundle", variants=ONNX, version="1.0.2")
    unfit = write_tiny_bundle(tmp_path / "3.edgebundle", version="1.0.3", **other)
    pipeline, announced = Pipeline(), list[str]()
    with RunningModel() as running:
        config = configured(before, section)
        running.load(config, lambda stack: load_tuned_model(config, stack))
        with pytest.raises(InputError, match=says):
            running.take_over(configured(unfit, section), pipeline, lambda one: announced.append(one.version))
        assert (pipeline.taken, announced, running.bundle.version) == ([], [], "1.0.1")
        assert running.take_over(configured(same, section), pipeline, lambda one: announced.append(one.version))
        assert pipeline.taken == announced == ["1.0.2"]
    config = configured(unfit, section)
    with RunningModel() as running, pytest.raises(InputError, match=says):
        running.load(config, lambda stack: load_tuned_model(config, stack))
