"""No cut of the power, at whatever moment of an update, leaves a device without a working model; and no step is too much.

Every prefix of the file operations, with every combination of what was not synced (up to 4096 at each moment; more would fail
the test, and never is). From each such disk the device must start, run one of the two releases, keep what was promised, and
come to the end of its update by itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk_agent.update import launcher
from edgesdk_testkit.power_cuts import FileOperations, Image, crash_images, one_left_out, written_to
from edgesdk_testkit.update_life import problems, without_syncs
from edgesdk_testkit.update_paths import CRASH, PATHS, PRUNE, ROLL_BACK, UpdatedDevice, UpdatePath, updated_device

every_path = pytest.mark.parametrize("path", PATHS, ids=[path.name.replace(" ", "-") for path in PATHS])


@pytest.fixture
def device(tmp_path: Path) -> UpdatedDevice:
    return updated_device(tmp_path)


def recorded(device: UpdatedDevice, path: UpdatePath) -> FileOperations:
    with pytest.MonkeyPatch.context() as patch:
        operations = FileOperations(device.root).watch(patch)
        path.go(device, operations.mark)
    return operations


def _found(image: Image, folder: Path) -> Path:
    for name in ("incoming", "slots/a", "slots/b"):
        (folder / name).mkdir(parents=True)
    return written_to(image, folder)


@every_path
def test_every_disk_that_can_be_found_is_usable_and_comes_to_the_end(
    device: UpdatedDevice, tmp_path: Path, path: UpdatePath
) -> None:
    path.prepare(device)
    images = list(crash_images(recorded(device, path)))
    assert len(images) >= (4 if path is PRUNE else 40)
    ended = set()
    again = without_syncs()
    try:
        for number, image in enumerate(images):
            root = _found(image, tmp_path / str(number))
            assert problems(root, device.server, image.marks) == [], (number, image.marks)
            switch = replace(device, root=root).life(path.verdict, boot="boot-2").live()
            assert switch.trial is None
            assert problems(root, device.server) == []
            ended.add(launcher.read_json(root / "slots" / switch.active / launcher.SLOT_FILE)["number"])
    finally:
        again()
    # Where the cut came before the wish was written, what ran runs on; an update never ends at release 1.
    assert ended == path.ends


@every_path
def test_no_sync_and_no_rename_can_be_left_out(device: UpdatedDevice, tmp_path: Path, path: UpdatePath) -> None:
    """The test of the test, and of the code: each is needed, and each that is missing is seen."""
    path.prepare(device)
    unseen, count = [], 0
    for number, (effect, images) in enumerate(one_left_out(recorded(device, path))):
        count += 1
        for at, image in enumerate(images):
            if problems(_found(image, tmp_path / f"{number}-{at}"), device.server, image.marks):
                break
        else:
            unseen.append(f"{effect.what} {effect.name} {effect.to}".strip())
    assert unseen == []
    assert count >= (2 if path is PRUNE else 10)


def test_the_active_slot_is_never_written(device: UpdatedDevice) -> None:
    before = {path: path.read_bytes() for path in (device.root / "slots/a").iterdir()}
    for path in (ROLL_BACK, CRASH):
        if path is CRASH:
            (device.root / "update.json").unlink()  # it would be refused, since it failed
        effects = recorded(device, path).effects
        assert len(effects) > 40
        assert not [one for one in effects if "slots/a" in one.name or "slots/a" in one.to]
    assert {path: path.read_bytes() for path in (device.root / "slots/a").iterdir()} == before
