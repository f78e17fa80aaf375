"""No cut of the power, at whatever moment of an update, leaves a device without a working model; and no step is too much.

Every prefix of the file operations, with every combination of what was not synced (up to 4096 at each moment; more would fail
the test, and never is). From each such disk the device must start, run one of the two releases, keep what was promised, and
come to the end of its update by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgesdk_agent.update import launcher
from edgesdk_agent.update.slots import Slots
from edgesdk_testkit.power_cuts import FileOperations, Image, crash_images, one_left_out, written_to
from edgesdk_testkit.update_life import (
    BROKEN,
    HEALTHY,
    Life,
    Made,
    first_install,
    make,
    make_agent,
    problems,
    without_syncs,
)


@dataclass
class Site:
    """A device that runs release 2 in slot a, with release 1 left over in slot b, and is offered release 3, or another agent."""

    root: Path
    old: Made
    now: Made
    new: Made
    agent: Made

    @property
    def server(self) -> dict[str, Made]:
        return {one.release.id: one for one in (self.old, self.now, self.new, self.agent)}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    old, now, new = (make(tmp_path, number) for number in (1, 2, 3))
    first_install(tmp_path / "update", now, old)
    return Site(tmp_path / "update", old, now, new, make_agent(tmp_path, 3))


def install(site: Site, told: Callable[[str], None]) -> None:
    """Fetch, stage, try and confirm."""
    Life(site.root, site.server, HEALTHY, told).live(site.new)


def roll_back(site: Site, told: Callable[[str], None]) -> None:
    """Fetch, stage, try, give up; then remove what failed."""
    Life(site.root, site.server, BROKEN, told).live(site.new)


def crash(site: Site, told: Callable[[str], None]) -> None:
    """Fetch, stage, and a program that never says anything: the launcher goes back alone."""
    life = Life(site.root, site.server, HEALTHY, told)
    updater = life.updater()
    updater.offer(site.new.release)
    while updater.step():
        pass
    life.ordered()
    life.crash_until_back()


def prune(site: Site, told: Callable[[str], None]) -> None:
    Slots(site.root).prune("b", launcher.read_switch(site.root))
    told("pruned")


def upgrade(site: Site, told: Callable[[str], None]) -> None:
    """Fetch another agent, build its environment, try and confirm."""
    Life(site.root, site.server, HEALTHY, told).live(site.agent)


def upgrade_and_back(site: Site, told: Callable[[str], None]) -> None:
    """Fetch another agent, build, try, give up; then remove its environment and its slot."""
    Life(site.root, site.server, BROKEN, told).live(site.agent)


PATHS = [install, roll_back, crash, prune, upgrade, upgrade_and_back]


def recorded(site: Site, path: Callable[[Site, Callable[[str], None]], None]) -> FileOperations:
    with pytest.MonkeyPatch.context() as patch:
        operations = FileOperations(site.root).watch(patch)
        path(site, operations.mark)
    return operations


def _found(image: Image, folder: Path) -> Path:
    for name in ("incoming", "slots/a", "slots/b"):
        (folder / name).mkdir(parents=True)
    return written_to(image, folder)


@pytest.mark.parametrize("path", PATHS)
def test_every_disk_that_can_be_found_is_usable_and_comes_to_the_end(
    site: Site, tmp_path: Path, path: Callable[[Site, Callable[[str], None]], None]
) -> None:
    images = list(crash_images(recorded(site, path)))
    assert len(images) >= (4 if path is prune else 50)
    ended = set()
    again = without_syncs()
    try:
        for number, image in enumerate(images):
            root = _found(image, tmp_path / str(number))
            assert problems(root, site.server, image.marks) == [], (number, image.marks)
            verdict = BROKEN if path in {roll_back, upgrade_and_back} else HEALTHY
            switch = Life(root, site.server, verdict, boot="boot-2").live()
            assert switch.trial is None
            assert problems(root, site.server) == []
            ended.add(launcher.read_json(root / "slots" / switch.active / launcher.SLOT_FILE)["number"])
    finally:
        again()
    # Where the cut came before the offer was written, the old release runs on; an update never ends at release 1.
    assert ended <= {2, 3}
    assert (3 in ended) == (path in {install, crash, upgrade})


@pytest.mark.parametrize("path", PATHS)
def test_no_sync_and_no_rename_can_be_left_out(
    site: Site, tmp_path: Path, path: Callable[[Site, Callable[[str], None]], None]
) -> None:
    """The test of the test, and of the code: each is needed, and each that is missing is seen."""
    unseen, count = [], 0
    for number, (effect, images) in enumerate(one_left_out(recorded(site, path))):
        count += 1
        for at, image in enumerate(images):
            if problems(_found(image, tmp_path / f"{number}-{at}"), site.server, image.marks):
                break
        else:
            unseen.append(f"{effect.what} {effect.name} {effect.to}".strip())
    assert unseen == []
    assert count >= (2 if path is prune else 20)


def test_the_active_slot_is_never_written(site: Site) -> None:
    before = {path: path.read_bytes() for path in (site.root / "slots/a").iterdir()}
    for path in (roll_back, crash):
        if path is crash:
            (site.root / "update.json").unlink()  # it would be refused, since it failed
        effects = recorded(site, path).effects
        assert len(effects) > 40
        assert not [one for one in effects if "slots/a" in one.name or "slots/a" in one.to]
    assert {path: path.read_bytes() for path in (site.root / "slots/a").iterdir()} == before
