"""Which release of the agent a process says it is: that of the environment it runs by, whatever a slot promises."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesdk_agent.agent_identity import hardware
from edgesdk_agent.update.environment.running_agent import running_agent
from edgesdk_agent.update.launcher import FOLDER_VARIABLE, SLOT_VARIABLE
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.slot_content import SlotContent

AGENT = Release(id="sha256:" + "a" * 64, name="edgesdk-agent", version="0.3.0", number=3, size=1, kind="agent")
BUNDLE = Release(id="sha256:" + "b" * 64, name="m", version="1.0.0", number=7, size=1)
NAME = "a" * 24 + "00000001"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device whose slot b was made by a release of the agent, and whose slot a holds another bundle that this one runs."""
    contents = {"a": SlotContent.of(BUNDLE, AGENT, NAME), "b": SlotContent.of(AGENT, BUNDLE, NAME)}
    for slot, content in contents.items():
        (tmp_path / "slots" / slot).mkdir(parents=True)
        (tmp_path / "slots" / slot / "slot.json").write_text(content.model_dump_json())
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv(SLOT_VARIABLE, "a")
    return tmp_path


def test_it_is_the_release_of_the_environment_in_either_slot(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(root / "agents" / NAME))
    assert running_agent() == AGENT.id
    (root / "slots/a/slot.json").unlink()
    assert running_agent() == AGENT.id


@pytest.mark.parametrize("prefix", ["elsewhere", "agents/" + "c" * 32], ids=["installed", "another-one"])
def test_what_does_not_run_by_it_does_not_say_so(root: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    """Such as the installed agent, which runs a slot that lost its environment."""
    monkeypatch.setattr(sys, "prefix", str(root / prefix))
    assert running_agent() == ""


def test_without_a_launcher_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SLOT_VARIABLE, raising=False)
    assert running_agent() == ""
    # What a roll-out of agents asks a device for by these names.
    assert {"machine", "python"} <= set(hardware(None))
