"""A real agent whose bundle the disk damaged: its launcher goes over to the other slot, and the device says so."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.update import launcher
from edgesdk_agent.update.damage import tell_damage
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


@pytest.mark.parametrize(
    ("refusals", "is_damage"),
    [
        ([errno.EMFILE] * 2, False), ([errno.EACCES] * 2, False), ([errno.ENOMEM] * 2, False),
        ([errno.EIO], False), ([errno.EIO] * 2, True), ([errno.ENOENT] * 2, True),
    ],
    ids=["too many open files", "no rights", "no memory", "unreadable once", "unreadable", "lost"],
)  # fmt: skip
def test_only_what_the_disk_lost_is_damage(
    tmp_path: Path, made: list[Made], monkeypatch: pytest.MonkeyPatch, refusals: list[int], is_damage: bool
) -> None:
    assert made
    root = tmp_path / "update"
    monkeypatch.setenv(launcher.FOLDER_VARIABLE, str(root))
    monkeypatch.setenv(launcher.SLOT_VARIABLE, "a")
    left, really = [*refusals], Path.open

    def refusing(self: Path, *arguments: Any, **more: Any) -> Any:
        if self.name == "model.edgebundle" and left:
            code = left.pop(0)
            raise OSError(code, os.strerror(code))
        return really(self, *arguments, **more)

    before = launcher.read_json(root / launcher.ORDER)
    monkeypatch.setattr(Path, "open", refusing)
    assert tell_damage() is is_damage
    order = launcher.read_json(root / launcher.ORDER)
    assert order["do"] == "damaged" if is_damage else order == before


def test_a_disk_that_is_not_mounted_is_no_damage(
    tmp_path: Path, made: list[Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made
    root = tmp_path / "update"
    monkeypatch.setenv(launcher.FOLDER_VARIABLE, str(root))
    monkeypatch.setenv(launcher.SLOT_VARIABLE, "a")
    (root / "slots").rename(root / "elsewhere")
    assert not tell_damage()
