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

LONGEST_S = 120
# `python -m edgesdk_testkit.update_kills FOLDER 1` kills at each of them, in half a minute.
EVERY = 6


def test_killed_at_a_file_operation_it_goes_on_and_ends_as_it_would_have(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk_testkit.update_kills", str(tmp_path), str(EVERY)],
        capture_output=True, text=True, check=False, timeout=LONGEST_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert found["kills"] > 150 // EVERY
    # Killed before the offer was written the device stays as it is; after it, the good release comes and the bad one never.
    assert set(found["ended"]) == {"1.0.2", "1.0.3", "2.0.3"}


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
