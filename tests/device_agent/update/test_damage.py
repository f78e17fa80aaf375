"""A real agent whose bundle the disk damaged: its launcher goes over to the other slot, and the device says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk_agent.update import launcher
from edgesdk_agent.update.record import RecordFile, Step
from edgesdk_testkit.update_life import HEALTHY, Life, Made, first_install, make

AGENT = (
    sys.executable, "-m", "edgesdk_agent.main", "run", "--bundle", "{slot}/model.edgebundle", "--source", "synthetic:?fps=20",
    "--no-mqtt", "--duration", "0.2", "--quiet",
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> list[Made]:
    """Releases 1 and 2, of which 2 runs in slot a, and slot b still holds 1."""
    both = [make(tmp_path, number) for number in (1, 2)]
    first_install(tmp_path / "update", both[1], both[0])
    return both


def launched(root: Path) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, launcher.__file__, str(root), "--", *AGENT]
    return subprocess.run(words, env=environment, check=False, timeout=120, capture_output=True).returncode


def test_the_other_slot_runs_and_what_was_damaged_may_come_again(tmp_path: Path, made: list[Made]) -> None:
    root = tmp_path / "update"
    bundle = root / "slots/a/model.edgebundle"
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert launched(root) == 0
    switch = launcher.read_switch(root)
    assert (switch.active, switch.id, switch.damaged) == ("b", made[0].release.id, "a")
    life = Life(root, {one.release.id: one for one in made}, HEALTHY)
    life.live()
    record = RecordFile(root).now
    assert (record.step, record.confirmed) == (Step.ROLLED_BACK, made[0].release)
    assert record.why.startswith("slot a is damaged: ")
    assert not bundle.exists()
    life.live(made[1])
    assert launcher.read_switch(root) == launcher.Switch(
        "a", made[1].release.id, order=launcher.read_switch(root).order, ended_id=made[1].release.id, kept=True
    )


def test_a_start_that_fails_for_another_reason_changes_no_slot(
    tmp_path: Path, made: list[Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.AGENT", (*AGENT, "--variant", "none"))
    assert launched(tmp_path / "update") != 0
    switch = launcher.read_switch(tmp_path / "update")
    assert (switch.active, switch.damaged) == ("a", "")
