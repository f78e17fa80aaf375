"""A whole device on a disk: what is taken, what is refused and by whom it is held against, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgesdk.signing.private_key import PrivateKey
from edgesdk.signing.sign import sign_bundle
from edgesdk_agent.update import launcher
from edgesdk_agent.update.golden_child import ChildLimits, GoldenFailed, golden_in_child
from edgesdk_agent.update.proof import Proof
from edgesdk_agent.update.record import RecordFile, Release, Step, UpdateRecord
from edgesdk_agent.update.rules import Moment
from edgesdk_agent.update.slots import Slots
from edgesdk_agent.update.trial_gate import Verdict
from edgesdk_agent.update.updater import Updater
from edgesdk_targets.bundle.archive import pack
from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.bundle.package import SIGNATURE
from edgesdk_targets.errors import BundleError, DeviceError, Downgrade, EdgeError, FetchFailed, InputError, NoSpace
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_testkit.update_life import BROKEN, HEALTHY, Life, Made, first_install, make, problems

BOX, STRANGER = PrivateKey.new("box"), PrivateKey.new("stranger")


@dataclass
class Device:
    """A device that runs release 2 and was told whom to trust."""

    folder: Path
    life: Life

    @property
    def root(self) -> Path:
        return self.life.root

    def made(self, number: int, key: PrivateKey | None = BOX, stated: int | None = None) -> Made:
        """Return a bundle that the server has, signed as release `stated`."""
        one = make(self.folder, number)
        if key is not None:
            with open_bundle(one.path) as bundle:
                sign_bundle(bundle, key, one.path, release=stated or number)
        release = one.release.model_copy(update={"size": one.path.stat().st_size})
        self.life.server[release.id] = Made(one.path, release)
        return self.life.server[release.id]

    def offered(self, made: Made) -> UpdateRecord:
        self.life.live(made)
        return self.record

    def on_trial(self, number: int) -> Made:
        """Offer a bundle, and start it for the first time."""
        made = self.made(number)
        updater = self.life.updater()
        updater.offer(made.release)
        while updater.step():
            pass
        trial = launcher.prepare_start(self.root).trial
        assert trial is not None
        assert trial.id == made.release.id
        return made

    @property
    def record(self) -> UpdateRecord:
        return RecordFile(self.root).now

    @property
    def runs(self) -> str:
        switch = launcher.read_switch(self.root)
        return str(launcher.read_json(self.root / "slots" / switch.runs / launcher.SLOT_FILE)["version"])


@pytest.fixture
def device(tmp_path: Path) -> Device:
    first = make(tmp_path, 2)
    first_install(tmp_path / "update", first)
    proof = Proof(lambda: TrustedKeys.of(BOX.public), target="generic-onnx")
    return Device(tmp_path, Life(tmp_path / "update", {first.release.id: first}, proof=proof))


def test_a_signed_release_comes_and_stays(device: Device) -> None:
    made = device.made(3)
    record = device.offered(made)
    assert (record.step, record.floor, device.runs) == (Step.CONFIRMED, 3, "1.0.3")
    assert problems(device.root, device.life.server) == []
    assert list(device.life.updater().slots.incoming.iterdir()) == []


def test_one_update_after_the_other_uses_the_slots_in_turn(device: Device) -> None:
    slots = []
    for number in (3, 4, 5):
        device.offered(device.made(number))
        slots.append(launcher.read_switch(device.root).active)
    assert slots == ["b", "a", "b"]
    with pytest.raises(Downgrade):
        device.offered(device.made(4, stated=4))
    assert device.runs == "1.0.5"


def _tampered(device: Device, made: Made) -> None:
    with open_bundle(made.path) as bundle:
        files = {name: bundle._archive.read(name) for name in bundle._archive.sizes}
    name = next(name for name in files if name.endswith(".onnx"))
    made.path.write_bytes(pack({**files, name: files[name][:-1] + b"\0"}))


def _another(device: Device, made: Made) -> None:
    made.path.write_bytes(device.made(9).path.read_bytes())


def _without_signature(device: Device, made: Made) -> None:
    with open_bundle(made.path) as bundle:
        files = {name: bundle._archive.read(name) for name in bundle._archive.sizes}
    made.path.write_bytes(pack({name: data for name, data in files.items() if name != SIGNATURE}))


def _truncated(device: Device, made: Made) -> None:
    made.path.write_bytes(made.path.read_bytes()[:-100])


@pytest.mark.parametrize("attack", [_tampered, _another, _without_signature, _truncated])
def test_what_is_altered_on_its_way_is_refused_and_the_release_stays_welcome(
    device: Device, attack: Callable[[Device, Made], None]
) -> None:
    """Else whoever stands in between could have a good release refused for ever."""
    made = device.made(3)
    good = made.path.read_bytes()
    attack(device, made)
    record = device.offered(made)
    assert (record.step, record.failed, device.runs) == (Step.IDLE, (), "1.0.2")
    assert record.why
    made.path.write_bytes(good)
    assert device.offered(made).step is Step.CONFIRMED


@pytest.mark.parametrize(("key", "says"), [(None, "is not signed"), (STRANGER, "not trusted here")])
def test_what_nobody_trusted_signed_is_refused(device: Device, key: PrivateKey | None, says: str) -> None:
    record = device.offered(device.made(3, key))
    assert (record.step, device.runs) == (Step.IDLE, "1.0.2")
    assert says in record.why


def test_what_nobody_trusted_signed_does_not_cost_the_way_back(device: Device) -> None:
    """The other slot holds it until something comes that may take its place."""
    device.offered(device.made(3))
    record = device.offered(device.made(4, STRANGER))
    assert "not trusted here" in record.why
    device.life.live(back="worse at night")
    assert (device.record.step, device.runs) == (Step.CONFIRMED, "1.0.2")


def test_a_check_of_who_signed_that_comes_to_no_end_is_held_against_nobody(device: Device) -> None:
    """It is the sender who says which release it is; a good one of that name must stay welcome."""

    def unreadable() -> TrustedKeys:
        raise InputError("trusted.keys cannot be read.")

    made = device.made(3)
    device.life.proof = Proof(unreadable)
    assert device.offered(made).step is Step.DOWNLOADING
    late = Moment("boot-1", 7 * 3600.0)
    Updater(device.root, device.life.updater()._fetch, Proof(unreadable), lambda: late).step()
    assert "took longer" in device.record.why
    assert (device.record.step, device.record.failed) == (Step.IDLE, ())


def test_a_number_that_the_signer_did_not_state_is_refused(device: Device) -> None:
    """An old bundle offered under a new number would pass the floor."""
    made = device.made(3, stated=1)
    record = device.offered(made)
    assert "signed as release 1, and was offered as 3" in record.why
    assert device.runs == "1.0.2"


def test_what_cannot_run_here_is_refused_until_its_content_changes(device: Device) -> None:
    made = device.made(3)
    device.life.proof = Proof(lambda: TrustedKeys.of(BOX.public), target="jetson-orin-nano")
    record = device.offered(made)
    assert (record.step, [one.id for one in record.failed]) == (Step.IDLE, [made.release.id])
    with pytest.raises(InputError, match="failed here"):
        device.offered(made)
    assert device.runs == "1.0.2"


def test_what_fails_its_trial_is_taken_back_and_removed_and_refused(device: Device) -> None:
    made = device.made(3)
    device.life.verdict = BROKEN
    record = device.offered(made)
    assert (record.step, record.floor, device.runs) == (Step.ROLLED_BACK, 2, "1.0.2")
    assert "implausible" in record.why
    assert list((device.root / "slots/b").iterdir()) == []
    with pytest.raises(InputError, match=r"failed here \(trial\)"):
        device.offered(made)


def test_the_way_back_after_a_confirmation(device: Device) -> None:
    device.offered(device.made(3))
    device.life.live(back="worse at night")
    assert (device.record.step, device.runs, device.record.floor) == (Step.CONFIRMED, "1.0.2", 3)
    with pytest.raises(InputError, match="worse at night"):
        device.offered(device.made(3))


def test_a_lost_record_keeps_the_floor_and_ends_an_unknown_trial(device: Device) -> None:
    device.offered(device.made(3))
    (device.root / "update.json").write_bytes(b"{")
    device.life.live()
    assert (device.record.floor, device.record.confirmed) == (3, device.life.updater().slots.held("b"))
    made = device.made(4)
    updater = device.life.updater()
    updater.offer(made.release)
    while updater.step():
        pass
    assert launcher.prepare_start(device.root).trial is not None
    (device.root / "update.json").unlink()
    device.life.live()
    assert launcher.read_switch(device.root).trial is None
    assert device.runs == "1.0.3"


def test_an_abort_ends_it_at_any_step(device: Device) -> None:
    made = device.made(3)
    for steps in range(4):
        updater = device.life.updater()
        updater.offer(made.release)
        for _ in range(steps):
            updater.step()
        updater.abort("not now")
        device.life.live()
        assert device.record.step in {Step.IDLE, Step.ROLLED_BACK}
        assert device.runs == "1.0.2"
        assert problems(device.root, device.life.server) == []


@pytest.mark.parametrize("step", ["downloading", "trial", "confirmed"])
def test_a_release_is_left_wherever_it_is_and_no_other_one(device: Device, step: str) -> None:
    made = device.on_trial(3) if step == "trial" else device.made(3)
    if step == "confirmed":
        device.offered(made)
    elif step == "downloading":
        device.life.updater().offer(made.release)
    device.life.updater().leave("sha256:" + "7" * 64, "not this one")
    assert (device.record.step.value, device.record.release) == (step, made.release)
    for _ in range(2):
        device.life.updater().leave(made.release.id, "the fleet takes it back")
        device.life.live()
        assert device.runs == "1.0.2"
        assert device.record.step.at_rest
        assert problems(device.root, device.life.server) == []


def test_what_somebody_aborts_on_trial_did_not_fail(device: Device) -> None:
    made = device.on_trial(3)
    device.life.updater().abort("the line is needed")
    device.life.live()
    record = device.record
    assert (record.step, record.why, record.failed) == (Step.ROLLED_BACK, "the line is needed", ())
    assert device.offered(made).step is Step.CONFIRMED


@pytest.mark.parametrize("end", ["abort", "leave"])
def test_what_is_aborted_on_trial_is_not_confirmed_in_the_same_turn(device: Device, end: str) -> None:
    """Both orders would have the same number, of which the launcher may have seen neither."""
    made = device.on_trial(3)
    updater = device.life.updater()
    updater.step(HEALTHY)
    if end == "abort":
        updater.abort("the line is needed")
    else:
        updater.leave(made.release.id, "the line is needed")
    updater.step(HEALTHY)
    assert launcher.read_json(device.root / launcher.ORDER)["do"] == "give_up"
    device.life.live()
    assert (device.record.step, device.record.why, device.runs) == (Step.ROLLED_BACK, "the line is needed", "1.0.2")


@pytest.mark.parametrize(
    "reason",
    [
        FetchFailed("The fleet's repository cannot be read."),
        NoSpace("The disk is full."),
        DeviceError("It was killed, as when memory is short."),
        None,
    ],
    ids=["nobody answered", "disk full", "no memory", "it came to no end"],
)
def test_a_repository_that_cannot_be_asked_in_time_is_held_against_nobody(
    device: Device, reason: EdgeError | None
) -> None:
    made, now = device.made(3), [Moment("boot-1", 0.0)]

    def released(_digest: str, bundle: Path | None) -> None:
        if reason is not None and bundle is not None and bundle.parent.name == "b":
            raise reason

    proof = Proof(lambda: TrustedKeys.of(BOX.public), target="generic-onnx", released=released)
    updater = Updater(device.root, device.life.updater()._fetch, proof, lambda: now[0])
    updater.offer(made.release)
    updater.step()
    assert updater.record.step is Step.VERIFIED
    if reason is not None:
        assert not updater.step()
    now[0] = Moment("boot-1", 1801.0)
    updater.step()
    assert (updater.record.step, [one.id for one in updater.record.failed]) == (
        Step.IDLE, [made.release.id] if reason is None else [],
    )  # fmt: skip


def test_a_trial_that_somebody_disturbs_is_held_against_nobody(device: Device) -> None:
    """Such as by setting another bundle from afar, which then runs in its place."""
    made = device.on_trial(3)
    device.life.verdict = Verdict(void="another bundle runs")
    device.life.live()
    record = device.record
    assert (record.step, record.why, record.failed, device.runs) == (
        Step.ROLLED_BACK, "another bundle runs", (), "1.0.2",
    )  # fmt: skip
    device.life.verdict = HEALTHY
    assert device.offered(made).step is Step.CONFIRMED


def test_what_was_not_confirmed_in_time_is_tried_again(device: Device) -> None:
    """The launcher still tells of the first trial then."""
    made = device.on_trial(3)
    for _ in range(2):
        launcher.write_switch(device.root, launcher.ended(launcher.read_switch(device.root), launcher.NOT_IN_TIME))
        device.life.live()
        assert (device.record.step, device.record.failed) == (Step.ROLLED_BACK, ())
        device.on_trial(3)
    device.life.live()
    assert (device.record.step, device.runs) == (Step.CONFIRMED, "1.0.3")
    assert device.record.release == made.release


def test_the_running_slot_is_refused_to_every_hand(device: Device) -> None:
    slots, switch = Slots(device.root), launcher.read_switch(device.root)
    release = Release.model_validate(launcher.read_json(device.root / "slots/a/slot.json"))
    for write in (slots.move_in, slots.complete):
        with pytest.raises(InputError, match="Slot a runs"):
            write("a", release, switch)
    with pytest.raises(InputError, match="Slot a runs"):
        slots.prune("a", switch)
    with pytest.raises(InputError, match="no slot"):
        slots.prune("../a", switch)


def test_a_device_with_slots_is_not_set_up_again(device: Device) -> None:
    made = device.made(3)
    with pytest.raises(InputError, match="has its slots"):
        device.life.updater().begin(made.release)


class TestTheGoldenSetInAChild:
    def test_is_met_by_the_bundle_as_it_was_built_and_not_with_its_channels_swapped(
        self, digits_bundle: Path, tmp_path: Path
    ) -> None:
        golden_in_child(None)(digits_bundle)
        with open_bundle(digits_bundle) as bundle:
            files = {name: bundle.read(name) for name in bundle.manifest.files}
            data = bundle.manifest.model_dump(mode="json", by_alias=True)
        data["preprocess"]["color"] = "bgr"
        write_bundle(tmp_path / "wrong.edgebundle", Manifest.model_validate(data), files)
        with pytest.raises(GoldenFailed, match="preprocess diverges"):
            golden_in_child(None)(tmp_path / "wrong.edgebundle")

    def test_without_one_a_bundle_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="golden"):
            golden_in_child(None)(make(tmp_path, 1).path)

    def test_one_that_hangs_is_ended(self, tmp_path: Path) -> None:
        with pytest.raises(GoldenFailed, match="not over after"):
            golden_in_child(None, limits=ChildLimits(longest_s=0.01))(make(tmp_path, 1).path)
