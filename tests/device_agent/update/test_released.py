"""A fleet's repository, made by the workstation's side and asked by the device's, over a real server: what attacks come to."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tuf")

from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.tuf_repository import Roles, TufRepository
from edgesdk_agent.update.fetch.released import BadRepository, NotReleased, Released
from edgesdk_agent.update.record import RecordFile, Step
from edgesdk_agent.update.wish import Wish
from edgesdk_targets.errors import EdgeError, FetchFailed, InputError, NoSpace
from edgesdk_testkit.range_server import serving
from edgesdk_testkit.update_device import Device, wait_for
from edgesdk_testkit.update_life import Made, first_install, make

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
ALICE, BOB, CAROL, EVE = (PrivateKey.new(name) for name in ("alice", "bob", "carol", "eve"))
TARGETS, ONLINE = PrivateKey.new("targets"), PrivateKey.new("online")


def roles(*root: PrivateKey, threshold: int = 2, targets: PrivateKey = TARGETS, online: PrivateKey = ONLINE) -> Roles:
    return Roles(tuple(key.public for key in root), threshold, targets.public, online.public)


@dataclass
class Fleet:
    """A repository, whoever serves it, and a device that asks it.

    Attributes:
        now: of the device's clock.
    """

    folder: Path
    url: str
    now: datetime = NOW
    clock_trusted: bool = True
    made: list[Made] = field(default_factory=list)

    @property
    def metadata(self) -> Path:
        return self.folder / "repository/metadata"

    def repository(self, now: datetime = NOW) -> TufRepository:
        return TufRepository(self.folder / "repository", now)

    def rooted(self, wanted: Roles, *signers: PrivateKey, now: datetime = NOW) -> None:
        self.repository(now).draft_root(wanted)
        assert [self.repository(now).sign_root(key) for key in signers][-1] == 0

    def release(self, number: int, now: datetime = NOW) -> Made:
        made = make(self.folder, number)
        self.repository(now).release(made.path, TARGETS, ONLINE)
        self.made.append(made)
        return made

    def device(self) -> Released:
        return Released(
            self.folder / "root.json", f"{self.url}/repository", self.folder / "kept", now=lambda: self.now,
            clock_trusted=lambda: self.clock_trusted,
        )  # fmt: skip

    def check(self, made: Made) -> None:
        self.device().check(made.release.id, made.path)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two of three people made the root, which lies on the device, and release 1 is out and known to it."""
    with serving(tmp_path, endless=lambda path: "endless" in path) as url:
        one = Fleet(tmp_path, url)
        one.rooted(roles(ALICE, BOB, CAROL), ALICE, CAROL)
        shutil.copy(one.metadata / "1.root.json", tmp_path / "root.json")
        one.check(one.release(1))
        yield one


class TestTheRoot:
    def test_is_none_until_enough_people_signed_it(self, tmp_path: Path) -> None:
        repository = TufRepository(tmp_path, NOW)
        assert repository.draft_root(roles(ALICE, BOB, CAROL)) == 1
        assert repository.sign_root(ALICE) == 1
        assert repository.sign_root(ALICE) == 1, "one person twice is one person"
        with pytest.raises(InputError, match="no key of the root"):
            repository.sign_root(EVE)
        with pytest.raises(InputError, match="sign the root first"):
            repository.release(make(tmp_path, 1).path, TARGETS, ONLINE)
        assert repository.sign_root(BOB) == 0
        with pytest.raises(InputError, match="does not count for targets"):
            repository.release(make(tmp_path, 1).path, ONLINE, ONLINE)

    @pytest.mark.parametrize("threshold", [0, 3])
    def test_that_nobody_could_sign_is_refused(self, tmp_path: Path, threshold: int) -> None:
        with pytest.raises(InputError, match="cannot sign"):
            TufRepository(tmp_path, NOW).draft_root(roles(ALICE, BOB, threshold=threshold))


class TestWhatIsReleased:
    def test_is_taken_wherever_it_lies_and_nothing_else(self, fleet: Fleet) -> None:
        fleet.check(fleet.release(2))
        fleet.check(fleet.made[0])
        with pytest.raises(NotReleased, match="has not released"):
            fleet.check(make(fleet.folder, 3))

    def test_is_that_very_file(self, fleet: Fleet) -> None:
        made = fleet.made[0]
        made.path.write_bytes(made.path.read_bytes() + b"x")
        with pytest.raises(NotReleased, match="another one"):
            fleet.check(made)

    def test_may_be_withdrawn(self, fleet: Fleet) -> None:
        fleet.repository().withdraw(f"{fleet.made[0].release.hex}.edgebundle", TARGETS, ONLINE)
        with pytest.raises(NotReleased):
            fleet.check(fleet.made[0])


class TestRenewing:
    def test_the_targets_for_another_year_by_their_own_key(self, fleet: Fleet) -> None:
        later = NOW + timedelta(days=364)
        fleet.repository(later).renew(ONLINE)
        fleet.now = later + timedelta(days=2)
        with pytest.raises(FetchFailed, match="expired"):
            fleet.check(fleet.made[0])
        with pytest.raises(InputError, match="does not count for targets"):
            fleet.repository(fleet.now).renew(ONLINE, EVE)
        # What is the newest root is over as well: people sign it, and nothing of this does.
        fleet.rooted(roles(ALICE, BOB, CAROL), ALICE, CAROL, now=fleet.now)
        fleet.repository(fleet.now).renew(ONLINE, TARGETS)
        fleet.check(fleet.made[0])


class TestWhatADeviceKeeps:
    def test_is_synced_before_it_is_relied_on(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        synced, real = set[str](), os.fsync

        def sync(handle: int) -> None:
            synced.add(str(Path(f"/proc/self/fd/{handle}").readlink()))
            real(handle)

        monkeypatch.setattr(os, "fsync", sync)
        fleet.check(fleet.release(2))
        kept = [path for path in (fleet.folder / "kept").rglob("*") if not path.is_symlink()]
        assert {str(path) for path in (*kept, fleet.folder / "kept")} <= synced
        assert len(kept) >= 4

    @pytest.mark.parametrize("left", [b"", b'{"signed": {'], ids=["empty", "half"])
    def test_is_begun_anew_where_a_cut_of_the_power_left_it_half_written(self, fleet: Fleet, left: bytes) -> None:
        kept = [path for path in (fleet.folder / "kept").rglob("*.json") if not path.is_symlink()]
        for path in kept:
            path.write_bytes(left)
        fleet.check(fleet.release(2))
        assert all(json.loads(path.read_bytes()) for path in (fleet.folder / "kept").rglob("*.json"))


class TestKeysAreChanged:
    def test_by_as_many_as_the_old_root_asks_for(self, fleet: Fleet) -> None:
        online = PrivateKey.new("online-2")
        fleet.rooted(roles(ALICE, BOB, EVE, online=online), BOB, ALICE)
        fleet.repository().renew(online)
        fleet.check(fleet.made[0])

    def test_over_several_roots_that_a_device_slept_through(self, fleet: Fleet) -> None:
        fleet.rooted(roles(ALICE, BOB, EVE), ALICE, BOB)
        fleet.rooted(roles(BOB, EVE), EVE, BOB)
        fleet.repository().renew(ONLINE)
        fleet.check(fleet.made[0])

    def test_a_lost_key_counts_no_more(self, fleet: Fleet) -> None:
        """Whoever stole the online key of before shows nothing with it."""
        stolen = (fleet.metadata / "timestamp.json").read_bytes()
        online = PrivateKey.new("online-2")
        fleet.rooted(roles(ALICE, BOB, CAROL, online=online), BOB, ALICE)
        fleet.repository().renew(online)
        fleet.check(fleet.made[0])
        (fleet.metadata / "timestamp.json").write_bytes(stolen)
        with pytest.raises(BadRepository):
            fleet.check(fleet.made[0])


# --- attacks: who has the server, and not the keys


def _altered(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))


def roll_back(role: str) -> Callable[[Fleet], None]:
    """Show again what was there before release 2."""

    def attack(fleet: Fleet) -> None:
        before = fleet.folder / "before"
        shutil.copytree(fleet.metadata, before)
        fleet.check(fleet.release(2))
        if role == "timestamp":
            shutil.copy(before / "timestamp.json", fleet.metadata)
            return
        # Who has the online key can sign anew, and still not go back below what a device has seen.
        (fleet.metadata / "2.targets.json").unlink()
        fleet.repository().renew(ONLINE)
        if role == "snapshot":
            _signed_again(fleet, "timestamp", lambda signed: signed["meta"]["snapshot.json"].update(version=1))

    return attack


def _signed_again(fleet: Fleet, role: str, change: Callable[[dict[str, Any]], None]) -> None:
    from tuf.api.metadata import Metadata

    from edgesdk.signing.tuf_repository import _signer

    path = fleet.metadata / f"{role}.json"
    _altered(path, lambda data: change(data["signed"]))
    metadata = Metadata.from_bytes(path.read_bytes())
    metadata.sign(_signer(ONLINE))
    path.write_bytes(metadata.to_bytes())


def roll_back_of_root(fleet: Fleet) -> None:
    """Show the first root again, as the newest."""
    fleet.rooted(roles(ALICE, BOB, EVE), ALICE, BOB)
    fleet.repository().renew(ONLINE)
    fleet.check(fleet.made[0])
    shutil.copy(fleet.metadata / "1.root.json", fleet.metadata / "3.root.json")


def mix_and_match(fleet: Fleet) -> None:
    """Targets of now under a snapshot that names others."""
    fleet.release(2)
    shutil.copy(fleet.metadata / "1.targets.json", fleet.metadata / "2.targets.json")


def wrong_key(fleet: Fleet) -> None:
    from tuf.api.metadata import Metadata

    from edgesdk.signing.tuf_repository import _signer

    path = fleet.metadata / "timestamp.json"
    metadata = Metadata.from_bytes(path.read_bytes())
    metadata.signed.version += 1
    metadata.sign(_signer(EVE))
    path.write_bytes(metadata.to_bytes())


def unsigned(fleet: Fleet) -> None:
    _altered(
        fleet.metadata / "timestamp.json", lambda data: (data["signatures"].clear(), data["signed"].update(version=9))
    )


def below_threshold(fleet: Fleet) -> None:
    """One of the two whom a root asks for makes the next one."""
    fleet.repository().draft_root(roles(EVE, ALICE, threshold=1))
    fleet.repository().sign_root(ALICE)
    (fleet.metadata / "root.draft.json").rename(fleet.metadata / "2.root.json")


def no_json(fleet: Fleet) -> None:
    (fleet.metadata / "timestamp.json").write_bytes(b"[" * 9999)


ATTACKS = {
    "roll-back of timestamp": roll_back("timestamp"), "roll-back of snapshot": roll_back("snapshot"),
    "roll-back of targets": roll_back("targets"), "roll-back of root": roll_back_of_root,
    "mix and match": mix_and_match, "wrong key": wrong_key, "unsigned": unsigned, "below threshold": below_threshold,
    "no json": no_json,
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_who_has_only_the_server_is_refused(fleet: Fleet, attack: Callable[[Fleet], None]) -> None:
    attack(fleet)
    # What a repository that was rolled back would release.
    with pytest.raises(BadRepository):
        fleet.check(fleet.made[0])
    # And where the right ones are there again, so is the device.
    shutil.rmtree(fleet.metadata)
    with pytest.raises(FetchFailed):
        fleet.check(fleet.made[0])


def test_only_what_a_device_keeps_tells_that_it_is_shown_the_past(fleet: Fleet) -> None:
    """The control of the roll-backs: a device that remembers nothing takes them for the present."""
    roll_back("timestamp")(fleet)
    with pytest.raises(BadRepository):
        fleet.check(fleet.made[0])
    shutil.rmtree(fleet.folder / "kept")
    fleet.check(fleet.made[0])
    with pytest.raises(NotReleased):
        fleet.check(fleet.made[1])


def test_endless_data_is_cut_and_asked_for_again(fleet: Fleet) -> None:
    (fleet.folder / "endless").mkdir()
    fleet.url += "/endless/.."
    with pytest.raises(FetchFailed):
        fleet.check(fleet.made[0])


def test_a_root_that_is_not_there_is_named(fleet: Fleet) -> None:
    (fleet.folder / "root.json").unlink()
    with pytest.raises(InputError, match=r"update\.released\.root: .*root\.json cannot be read: No such file"):
        fleet.check(fleet.made[0])


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EROFS, InputError)],
    ids=["full", "quota", "read only"],
)  # fmt: skip
def test_a_disk_that_takes_no_metadata_says_which_way(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[EdgeError]
) -> None:
    made = fleet.release(2)

    def refused(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr("tuf.ngclient.updater.os.replace", refused)
        with pytest.raises(kind, match="kept"):
            fleet.check(made)
    fleet.check(made)


class TestTime:
    LATER = NOW + timedelta(days=30)

    def test_a_freeze_is_found_out_and_told_to_wait(self, fleet: Fleet) -> None:
        fleet.now = self.LATER
        with pytest.raises(FetchFailed, match="expired"):
            fleet.check(fleet.made[0])
        fleet.repository(self.LATER).renew(ONLINE)
        fleet.check(fleet.made[0])

    def test_what_expired_is_taken_by_who_cannot_know_it(self, fleet: Fleet) -> None:
        """Decided so: without a clock nothing is old, and a device with an empty battery must not be lost to its fleet."""
        fleet.now, fleet.clock_trusted = self.LATER, False
        fleet.check(fleet.made[0])

    @pytest.mark.parametrize("years", [-56, 40], ids=["1970", "2066"])
    def test_a_clock_that_is_not_to_be_trusted_locks_nobody_out(self, fleet: Fleet, years: int) -> None:
        fleet.now, fleet.clock_trusted = NOW.replace(year=NOW.year + years), False
        fleet.check(fleet.made[0])
        with pytest.raises(NotReleased):
            fleet.check(make(fleet.folder, 3))

    def test_a_root_that_expired_is_left_by_the_next_one(self, fleet: Fleet) -> None:
        """Years in a drawer: the device's root is over, and so is everything that it knows."""
        fleet.now = NOW + timedelta(days=900)
        with pytest.raises(FetchFailed, match="expired"):
            fleet.check(fleet.made[0])
        fleet.rooted(roles(ALICE, BOB, CAROL), ALICE, BOB, now=fleet.now)
        made = fleet.release(2, now=fleet.now)
        fleet.check(made)

    def test_where_the_keys_are_lost_a_new_root_is_brought_to_the_device(self, fleet: Fleet) -> None:
        shutil.rmtree(fleet.metadata)
        fleet.rooted(roles(EVE, BOB), EVE, BOB)
        made = fleet.release(2)
        with pytest.raises(EdgeError):
            fleet.check(made)
        shutil.rmtree(fleet.folder / "kept")
        shutil.copy(fleet.metadata / "1.root.json", fleet.folder / "root.json")
        fleet.check(made)


@pytest.mark.parametrize(
    ("attack", "event", "code"),
    [
        (None, "update_refused", "not_released"),
        (unsigned, "update_refused", "bad_repository"),
        (None, "update_waits", ""),
    ],
    ids=["not released", "attacked", "expired"],
)
def test_a_device_says_so_and_what_runs_is_not_touched(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Any, event: str, code: str
) -> None:
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.look", lambda _: None)
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.is_settled", lambda _: True)
    first_install(tmp_path / "update", make(tmp_path, 2))
    device = Device(tmp_path)
    if event == "update_waits":
        # Signed so long ago that it is over by this machine's own clock.
        fleet.repository(datetime(2020, 1, 1, tzinfo=timezone.utc)).renew(ONLINE)
    elif attack is None:
        fleet.repository(datetime.now(timezone.utc)).renew(ONLINE)
    else:
        attack(fleet)
    update = device.agent(released={"url": f"{fleet.url}/repository", "root": tmp_path / "root.json"})
    try:
        runs = (device.root / "slots/a/model.edgebundle").read_bytes()
        bundle = device.made(5).path
        answer = device.asked(Wish(do="install", token="1" * 16, address=str(bundle)), lambda one: bool(one.why))
        told = wait_for(lambda: [(name, data) for name, _, data in device.told if name == event])
        assert code in told[0][1]["code"], answer
        assert answer.waits is (event == "update_waits")
        assert (device.root / "slots/a/model.edgebundle").read_bytes() == runs
        assert RecordFile(device.root).now.step is Step.IDLE
    finally:
        update.stop()
