"""A disk that is really full, from any operation of an update on: what runs stays whole, and with room again it goes on.

Room for bytes is gone, or room for names; a download in chunks, the slots, the switch and the confirmation are those of a device.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.update import launcher
from edgesdk_agent.update.environment import environments
from edgesdk_agent.update.fetch.download import download
from edgesdk_agent.update.fetch.places import LocalPlace
from edgesdk_agent.update.launcher import SLOTS
from edgesdk_agent.update.record import RecordFile, Release, Step
from edgesdk_agent.update.slots import Slots
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_testkit.small_disk import fill, small_disk, use_up_names
from edgesdk_testkit.update_kills import at_operation
from edgesdk_testkit.update_life import BROKEN, HEALTHY, Life, Made, first_install, make, make_agent, problems

# A download looks for 16 MiB beside what it needs.
SIZE, NAMES = "20m", 80
# EDGESDK_EVERY=1 has it full at each of them, in half a minute.
EVERY = int(os.environ.get("EDGESDK_EVERY", "0"))
WATCHED = ("open", "write", "fsync", "replace", "unlink", "close", "mkdir", "ftruncate")


class DownloadingLife(Life):
    """Fetches as a device does: from a stick, in chunks, with what its slots hold."""

    def _fetch(self, release: Release, _address: str, into: Path) -> None:
        held = [Slots(self.root).bundle(slot) for slot in SLOTS]
        download(LocalPlace(self.server[release.id].path), release, into, held=held)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, SIZE, names=NAMES) as made:
        yield made


def go_on_trying(life: Life, new: Made) -> None:
    """Offer a release, and live until nothing changes any more, or for long: without room a device tries until its time is over."""
    try:
        life.live(new)
    except AssertionError as error:
        if "does not come to rest" not in str(error):
            raise


def emptied(disk: Path) -> None:
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("takes", [fill, use_up_names])
@pytest.mark.parametrize(
    ("made", "verdict", "every"),
    [(make, HEALTHY, 5), (make, BROKEN, 11), (make_agent, HEALTHY, 11)],
    ids=["a bundle that stays", "one that goes", "another agent"],
)
def test_from_any_operation_on_the_active_slot_stays_whole_and_it_goes_on_with_room(
    tmp_path: Path, disk: Path, takes: Callable[[Path], object], made: Callable[[Path, int], Made], verdict: Any, every: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(environments, "sync_file_system", lambda _folder: None)
    now, new = make(tmp_path, 2), made(tmp_path, 3)
    server = {one.release.id: one for one in (now, new)}
    first_install(tmp_path / "template", now)
    every = EVERY or every
    root, number, was_full = disk / "update", 1 - every, True
    ended, steps = set[str](), set[Step]()
    while was_full:
        number += every
        emptied(disk)
        shutil.copytree(tmp_path / "template", root)
        runs = what_runs(root)

        def full() -> None:
            steps.add(RecordFile(root).now.step)
            takes(disk)

        with pytest.MonkeyPatch.context() as patch:
            begun = at_operation(number, full, names=WATCHED, put=patch.setattr)
            # Whoever makes the offer is told; so is whoever starts what cannot even make its folders.
            with suppress(NoSpace, InputError):
                go_on_trying(DownloadingLife(root, server, verdict), new)
            was_full = begun() >= number
        switch = launcher.read_switch(root)
        assert problems(root, server) == [], number
        assert switch.runs in launcher.held_slots(root)
        if switch.active == "a":
            assert what_runs(root) == runs
        # Somebody makes room.
        for path in disk.iterdir():
            if path != root:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        life = DownloadingLife(root, server, verdict, boot="after")
        # What was offered on a full disk was refused, and is offered again.
        life.live(new if RecordFile(root).now.release is None else None)
        assert problems(root, server) == [], number
        active = launcher.read_switch(root).active
        ended.add(launcher.read_json(root / "slots" / active / launcher.SLOT_FILE)["version"])
    # It was full at each of its steps, and the end was always the same.
    assert steps >= {Step.IDLE, Step.DOWNLOADING, Step.VERIFIED, Step.STAGED, Step.TRIAL}
    assert number > 40
    assert ended == {(new if verdict is HEALTHY else now).release.version}


def test_negative_control_the_disk_is_full(disk: Path, tmp_path: Path) -> None:
    made = make(tmp_path, 2)
    fill(disk)
    with pytest.raises(NoSpace):
        first_install(disk / "update", made)
    emptied(disk)
    use_up_names(disk)
    with pytest.raises(OSError, match="No space left"):
        (disk / "one").touch()


def what_runs(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "slots/a").iterdir()}
