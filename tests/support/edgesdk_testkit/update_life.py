"""The life of a device that is updated: real launcher, rules, slots and bundles; only the camera and the network are left out.

`Life` does what the processes do, in one: the launcher before each start, then the agent's updater, step by step, and the
launcher's look at the order. It can be cut off anywhere and begun anew on what is on the disk. `problems` says what must hold
on every disk that is ever found.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesdk_agent.update import launcher
from edgesdk_agent.update.environment import environments
from edgesdk_agent.update.fetch.download import download
from edgesdk_agent.update.fetch.places import LocalPlace
from edgesdk_agent.update.launcher import Switch
from edgesdk_agent.update.proof import Proof
from edgesdk_agent.update.record import RecordFile, Release, Step, UpdateRecord
from edgesdk_agent.update.rules import Limits, Moment
from edgesdk_agent.update.slots import Slots
from edgesdk_agent.update.trial_gate import Verdict
from edgesdk_agent.update.updater import Updater
from edgesdk_targets.agent_release.agent_release import open_agent_release, open_release, write_agent_release
from edgesdk_targets.agent_release.manifest import LOCK, AgentManifest
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.package import file_entry
from edgesdk_targets.errors import BundleError, EdgeError
from edgesdk_targets.target import Runtime
from edgesdk_targets.whole_file import disk_errors, replacing, write_all
from edgesdk_testkit.tiny_bundles import write_tiny_bundle

HEALTHY, BROKEN = Verdict(healthy=True), Verdict(unfit="its results are implausible")
# Far more than any update takes; a life that needs more goes round in a circle.
_MOST_STEPS = 60
_ORDER = (Step.IDLE, Step.DOWNLOADING, Step.VERIFIED, Step.STAGED, Step.TRIAL)


@dataclass(frozen=True)
class Made:
    """A bundle of the server's."""

    path: Path
    release: Release


def make(folder: Path, number: int) -> Made:
    """Write a bundle, version `1.0.NUMBER`, release NUMBER."""
    path = write_tiny_bundle(
        folder / f"{number}.edgebundle", variants=(("generic-onnx", Runtime.ONNXRUNTIME),), version=f"1.0.{number}"
    )
    with open_bundle(path) as bundle:
        release = Release(
            id=bundle.digest, name="cnn", version=f"1.0.{number}", number=number, size=path.stat().st_size
        )
    return Made(path, release)


def make_agent(folder: Path, number: int) -> Made:
    """Write a release of the agent, version `2.0.NUMBER`, release NUMBER, whose one wheel only says which it is."""
    path = folder / f"{number}.edgeagent"
    files = {LOCK: b"", "wheels/edgesdk.whl": f"2.0.{number}".encode()}
    table = {name: file_entry(content) for name, content in files.items()}
    manifest = AgentManifest(
        version=f"2.0.{number}", python="3.11", arch="x86_64", glibc="2.17", modules=("edgesdk_agent",),
        installed_bytes=0, files=table,
    )  # fmt: skip
    write_agent_release(path, manifest, files)
    with open_agent_release(path) as release:
        made = Release(
            id=release.digest, kind="agent", name=manifest.name, version=manifest.version, number=number,
            size=path.stat().st_size,
        )  # fmt: skip
    return Made(path, made)


def build(file: Path, place: Path, _bundle: Path) -> None:
    """Build an environment as pip does: files that nobody synced. Its program only says which release it is of."""
    with open_agent_release(file) as release:
        said = release.read("wheels/edgesdk.whl")
    with disk_errors(place):
        (place / "bin").mkdir()
    for name in ("bin/edgesdk-agent", "pyvenv.cfg"):
        with disk_errors(place):
            handle = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
            try:
                write_all(handle, said)
            finally:
                os.close(handle)


@dataclass
class Life:
    """One device's life on a folder.

    Attributes:
        server: the bundles that can be fetched, by id.
        verdict: what the trial's gate says.
        told: called with a promise, as soon as it is given.
        in_chunks: fetched as from a stick, by the real download; else written at once.
    """

    root: Path
    server: dict[str, Made]
    verdict: Verdict = HEALTHY
    told: Callable[[str], None] = lambda _: None
    proof: Proof = field(default_factory=lambda: Proof(trusted=None))
    boot: str = "boot-1"
    in_chunks: bool = False

    def updater(self) -> Updater:
        def changed(record: object) -> None:
            about = updater.record.release
            self.told(f"record {updater.record.step.value} {about.number if about else 0}")

        updater = Updater(
            self.root,
            self._fetch,
            self.proof,
            lambda: Moment(self.boot, 0.0),
            limits=Limits(),
            build=build,
            changed=changed,
        )
        return updater

    def live(self, offer: Made | None = None, back: str = "") -> Switch:
        """Start the device and let it come to rest; return the switch."""
        switch = self._started()
        # On a full disk a start that could not be counted is not made, and the file says something else than what runs.
        runs, known = switch.runs, launcher.read_switch(self.root)
        updater = self.updater()
        if offer is not None:
            updater.offer(offer.release)
        if back:
            updater.go_back(back)
        for _ in range(_MOST_STEPS):
            before = self._disk()
            more = updater.step(self.verdict if switch.trial and runs == switch.trial.slot else None)
            self.ordered()
            if updater.record.step is Step.ROLLED_BACK and not updater.slots.bundle(updater.record.slot).exists():
                self.told("pruned")
            after = launcher.obey_order(self.root)
            self.told(f"switch {after.order}")
            if after.runs != runs and after != known:
                # Another slot: the launcher ends this process and starts another one.
                switch, updater = self._started(), self.updater()
                runs, known = switch.runs, launcher.read_switch(self.root)
            elif not more and self._disk() == before:
                return after
        raise AssertionError(f"it does not come to rest: {updater.record.step}, {launcher.read_switch(self.root)}")

    def crash_until_back(self) -> Switch:
        """Start again and again a program that ends before it can say anything."""
        for _ in range(_MOST_STEPS):
            switch = self._started()
            if switch.trial is None:
                return switch
        raise AssertionError("the launcher never gave up")

    def _started(self) -> Switch:
        switch = launcher.prepare_start(self.root)
        self.told(f"switch {switch.order}")
        if switch.trial:
            self.told(f"start {switch.trial.starts}")
        elif switch.why:
            self.told("ended")
        return switch

    def ordered(self) -> None:
        number = launcher.read_json(self.root / launcher.ORDER).get("number", 0)
        self.told(f"order {number}")

    def _fetch(self, release: Release, _address: str, into: Path) -> None:
        path = self.server[release.id].path
        if self.in_chunks:
            download(LocalPlace(path), release, into)
            return
        with replacing(into) as handle:
            write_all(handle, path.read_bytes())

    def _disk(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


def first_install(root: Path, made: Made, old: Made | None = None) -> None:
    """Set a device up with a confirmed release in slot a, and what an earlier one left in slot b."""
    root.mkdir()
    life = Life(root, {made.release.id: made})
    life.updater().begin(made.release)
    life.live()
    if old is not None:
        slots = Slots(root)
        slots.bundle("b").write_bytes(old.path.read_bytes())
        (root / "slots/b" / launcher.SLOT_FILE).write_text(old.release.model_dump_json())


def problems(root: Path, allowed: dict[str, Made], marks: tuple[str, ...] = ()) -> list[str]:
    """Return what is wrong with a disk: something that must never be, or a promise that was given and is not kept.

    Args:
        allowed: what may run, by id.
        marks: the promises: `record STEP RELEASE`, `order N`, `switch N`, `start N`, `ended`, `pruned`.
    """
    found: list[str] = []
    slots, switch = Slots(root), launcher.read_switch(root)
    runs = launcher.counted(switch, launcher.held_slots(root)).runs
    if switch.active not in launcher.held_slots(root):
        found.append(f"the active slot {switch.active!r} holds nothing")
    for slot in launcher.held_slots(root):
        found += _slot_problems(slots, slot, allowed)
    if runs not in launcher.held_slots(root):
        found.append(f"the slot that would be started, {runs!r}, holds nothing")
    file = RecordFile(root)
    record = file.now
    found += [file.damage] if file.damage else []
    if launcher.read_json(root / launcher.ORDER) == {} and (root / launcher.ORDER).exists():
        found.append("the order cannot be read")
    active = slots.held(switch.active) if switch.active else None
    if active is not None and record.floor > active.number and not record.failed:
        found.append(f"the floor {record.floor} is above what runs, {active.number}")
    if record.step in {Step.VERIFIED, Step.STAGED} and record.release is not None:
        found += _arrived_problems(slots, record.release, record.slot)
    if record.step in {Step.STAGED, Step.TRIAL} and slots.held(record.slot) != record.release:
        found.append(f"slot {record.slot} was staged and is not complete")
    return found + _broken_promises(root, record, switch, marks)


def _slot_problems(slots: Slots, slot: str, allowed: dict[str, Made]) -> list[str]:
    held = slots.held(slot)
    if held is None or held.id not in allowed:
        return [f"slot {slot} holds something unknown"]
    content = slots.content(slot)
    assert content is not None
    model, agent = content.bundle, content.agent
    found = ["it holds no bundle"] if model is None else _whole(slots.bundle(slot), model)
    if agent is not None:
        program = Path(launcher.own_program(slots.root, slot, "/opt/edgesdk/bin/edgesdk-agent"))
        said = [(program.parent.parent / name) for name in ("bin/edgesdk-agent", "pyvenv.cfg")]
        if any(not path.exists() or path.read_text() != agent.version for path in said):
            found.append(f"slot {slot} is run by an environment that is not whole")
    return found


def _arrived_problems(slots: Slots, release: Release, slot: str) -> list[str]:
    """What was verified lies whole in one of its two places."""
    if slots.held(slot) == release:
        return _slot_problems(slots, slot, {release.id: Made(Path(), release)})
    places = [path for path in (slots.arrival(release), slots.bundle(slot)) if path.exists()]
    return [] if any(not _whole(path, release) for path in places) else [f"{release.version} was verified and is lost"]


def _whole(path: Path, release: Release) -> list[str]:
    try:
        with open_release(path) as bundle:
            return [] if bundle.digest == release.id else [f"{path.name} is another bundle than its slot says"]
    except (EdgeError, BundleError) as error:
        return [f"{path.parent.name}/{path.name}: {error.message}"]


def _broken_promises(root: Path, record: UpdateRecord, switch: Switch, marks: tuple[str, ...]) -> list[str]:
    broken = []
    newest = {what: value for what, _, value in (mark.partition(" ") for mark in marks)}
    if (promised := newest.get("record")) is not None:
        then, _, release = promised.rpartition(" ")
        number = 0 if record.release is None else record.release.number
        # A way back begins where another release had come to its end.
        if number != int(release) or _rank(record.step) < _rank(Step(then)):
            broken.append(f"the record says {record.step.value} of release {number} after {promised}")
    number = launcher.read_json(root / launcher.ORDER).get("number", 0)
    if int(newest.get("order", 0)) > number:
        broken.append(f"order {newest['order']} is forgotten")
    if int(newest.get("switch", 0)) > switch.order:
        broken.append(f"the launcher forgot that it carried out order {newest['switch']}")
    # A start is counted until its trial is over.
    counted = switch.trial.starts if switch.trial and marks[-1:] and marks[-1].startswith("start") else None
    if counted is not None and counted < int(newest["start"]):
        broken.append(f"start {newest['start']} was not counted")
    if "ended" in newest and switch.trial is not None:
        broken.append("the launcher forgot that it ended the trial")
    if "pruned" in newest and (root / "slots/b/model.edgebundle").exists():
        broken.append("what was pruned is there again")
    return broken


def _rank(step: Step) -> int:
    return _ORDER.index(step) if step in _ORDER else len(_ORDER)


def without_syncs() -> Callable[[], None]:
    """Make syncs do nothing, for lives of which no cut of the power is tried; return what puts them back."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda _handle: None)
    patch.setattr(environments, "sync_file_system", lambda _folder: None)
    return patch.undo
