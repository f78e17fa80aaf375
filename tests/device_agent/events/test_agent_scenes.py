"""What scenes go by: the configuration, and of what that leaves open, the model that runs now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgesdk_agent.events.agent_scenes import AgentScenes
from edgesdk_agent.events.settings import SceneSettings


def model(threshold: float, task: str = "detect") -> Any:
    """Return what is read of a model."""
    return SimpleNamespace(
        manifest=SimpleNamespace(task=task, name="m", postprocess=SimpleNamespace(score_threshold=threshold))
    )


def loaded(section: SceneSettings) -> Any:
    clips = SimpleNamespace(upload=SimpleNamespace(send=()))
    return SimpleNamespace(config=SimpleNamespace(events=section, clips=clips))


def section(**tracker: float) -> SceneSettings:
    rule = {"name": "seen", "kind": "object"}
    return SceneSettings.model_validate({"tracker": tracker, "rules": [rule]})


def test_another_model_brings_its_threshold_and_a_configured_one_stays() -> None:
    scenes = AgentScenes(section(lost_s=3), model(0.4), {}, None)
    assert scenes.scenes.settings.tracker.high_score == 0.4
    scenes.take_model(model(0.7))
    assert scenes.scenes.settings.tracker.high_score == 0.7
    assert scenes.scenes.settings.tracker.lost_s == 3
    scenes.take_section(loaded(section(lost_s=5)))
    tracker = scenes.scenes.settings.tracker
    assert (tracker.high_score, tracker.lost_s) == (0.7, 5)
    scenes.take_section(loaded(section(high_score=0.25)))
    scenes.take_model(model(0.4))
    assert scenes.scenes.settings.tracker.high_score == 0.25


def test_a_model_that_cannot_answer_the_rules_leaves_them_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    scenes = AgentScenes(section(), model(0.4), {}, None)
    scenes.take_model(model(0.9, task="classify"))
    assert scenes.scenes.settings.tracker.high_score == 0.4
    assert "Rules stay as they were" in caplog.text
