"""A real SIGKILL all through an update, and a disk that fills at every write: what runs goes on, and the end is the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.update import launcher
from edgesdk_targets.errors import NoSpace
from edgesdk_testkit.update_life import Life, Made, first_install, make, make_agent, problems
from edgesdk_testkit.update_paths import GO_BACK, INSTALL, PATHS, PRUNE, ROLL_BACK, UPGRADE

LONGEST_S = 120
# `python -m edgesdk_testkit.update_kills FOLDER 1` kills at each of them: docs/updating.md has what it found.
EVERY = 9


def killed(program: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program],
        capture_output=True, text=True, check=False, timeout=LONGEST_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_killed_at_a_file_operation_it_goes_on_and_ends_as_it_would_have(tmp_path: Path) -> None:
    done = killed(["-m", "edgesdk_testkit.update_kills", str(tmp_path), str(EVERY)])
    found = {one["path"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert {name: one["problems"] for name, one in found.items()} == {path.name: [] for path in PATHS}, done.stderr
    assert done.returncode == 0, done.stderr
    for one in found.values():
        assert one["kills"] == -(-one["operations"] // EVERY)
        assert one["operations"] > (4 if one["path"] == PRUNE.name else 40)
    # Killed before the offer was written the device stays as it is; after it, the good release comes and the bad one never.
    assert {*found[INSTALL.name]["ended"]} == {*found[GO_BACK.name]["ended"]} == {"1.0.2", "1.0.3"}
    assert {*found[UPGRADE.name]["ended"]} == {"1.0.2", "2.0.3"}
    assert {*found[ROLL_BACK.name]["ended"]} == {"1.0.2"}


def test_a_switch_that_is_written_in_its_place_is_found_half_written(tmp_path: Path) -> None:
    """The control of the test above."""
    done = killed(["-c", _CARELESS, str(tmp_path / "careless")])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["unusable"] > 2
    assert "the active slot '' holds nothing" in " ".join(found["problems"])


_CARELESS = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
from edgesdk_agent.update import launcher
from edgesdk_testkit.update_kills import killed_everywhere
from edgesdk_testkit.update_life import without_syncs
from edgesdk_testkit.update_paths import INSTALL


def write_switch(root, switch):
    handle = os.open(root / launcher.SWITCH, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for byte in json.dumps(asdict(switch)).encode():
        os.write(handle, bytes([byte]))
    os.close(handle)


without_syncs()
launcher.write_switch = write_switch
print(json.dumps(killed_everywhere(Path(sys.argv[1]), 47, INSTALL).__dict__))
"""


@pytest.mark.parametrize("made", [make, make_agent])
def test_a_disk_that_is_full_from_any_write_on_leaves_what_runs_and_lets_it_go_on_later(
    tmp_path: Path, made: Callable[[Path, int], Made]
) -> None:
    now, new = make(tmp_path, 2), made(tmp_path, 3)
    server = {one.release.id: one for one in (now, new)}
    first_install(tmp_path / "template", now)
    ended, number, was_full = set(), 0, True
    while was_full:
        number += 1
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "template", root)
        with pytest.MonkeyPatch.context() as patch:
            full = _filling(patch, number)
            # The offer itself is refused: whoever makes it is told.
            with suppress(NoSpace):
                Life(root, server).live(new)
            was_full = full()
        assert problems(root, server) == []
        before = launcher.read_switch(root)
        assert before.runs in launcher.held_slots(root)
        switch = Life(root, server, boot="after").live()
        assert problems(root, server) == []
        ended.add(launcher.read_json(root / "slots" / switch.active / launcher.SLOT_FILE)["version"])
    assert number > 8
    assert ended == {"1.0.2", new.release.version}


def _filling(patch: pytest.MonkeyPatch, number: int) -> Any:
    """Let every write from this one on find the disk full; return what tells whether one did."""
    real, count = os.write, 0

    def write(handle: int, data: Any) -> int:
        nonlocal count
        count += 1
        if count >= number:
            raise OSError(28, "No space left on device")
        return real(handle, data)

    patch.setattr(os, "write", write)
    return lambda: count >= number
