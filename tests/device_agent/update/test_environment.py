"""An environment of signed wheels: built by the real `venv` and `pip`, proven, and refused for what is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("cryptography")

from edgesdk.agent_release import release_from_wheelhouse
from edgesdk.signing.private_key import PrivateKey
from edgesdk_agent.update import launcher
from edgesdk_agent.update.environment.agent_here import build_in_children, not_in_environment
from edgesdk_agent.update.environment.children import EnvironmentFailed, run_child
from edgesdk_agent.update.environment.prove import prove_environment
from edgesdk_agent.update.fetch.sources import Sources
from edgesdk_agent.update.proof import Proof
from edgesdk_agent.update.proving_child import ChildLimits
from edgesdk_agent.update.record import RecordFile, Release, Step
from edgesdk_agent.update.slot_content import SlotContent
from edgesdk_agent.update.slots import Slots
from edgesdk_agent.update.staging import Staging
from edgesdk_targets.agent_release.agent_release import open_agent_release, write_agent_release
from edgesdk_targets.agent_release.manifest import AgentManifest
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.package import file_entry
from edgesdk_targets.child_watch import Ending, start_program, watch
from edgesdk_targets.errors import BadBundle, BundleError, DeviceError, InputError, NoSpace, WrongTarget
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_testkit import update_life
from edgesdk_testkit.agent_wheels import agent_release, wheelhouse
from edgesdk_testkit.update_device import wait_for
from edgesdk_testkit.update_life import Life, first_install, make, make_agent, problems

KEY, STRANGER = PrivateKey.new("box"), PrivateKey.new("stranger")
NEVER = threading.Event()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return agent_release(tmp_path_factory.mktemp("released"), "9.9.1", 1, KEY)


@pytest.fixture(scope="module")
def place(released: Path, digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment that was built and proven."""
    return built(released, tmp_path_factory.mktemp("device") / "agents/one", digits_bundle)


def made_otherwise(path: Path, into: Path, leave_out: str = "", lock: bytes = b"", **facts: object) -> Path:
    """Write a release again, with other facts in its manifest, another lock, and without the files whose names begin so."""
    with open_agent_release(path) as release:
        files = {name: release.read(name) for name in release.manifest.files}
        raw = json.loads(release.manifest.to_bytes())
    files = {name: content for name, content in files.items() if not (leave_out and name.startswith(leave_out))}
    files |= {"requirements.lock": lock} if lock else {}
    table = {name: file_entry(content).model_dump() for name, content in files.items()}
    write_agent_release(into, AgentManifest.model_validate(raw | facts | {"files": table}), files)
    return into


def built(release: Path, place: Path, bundle: Path, stopping: threading.Event = NEVER) -> Path:
    place.mkdir(parents=True)
    build_in_children("", "", stopping)(release, place, bundle)
    return place


def proven(released: Path, place: Path, bundle: Path, **facts: object) -> None:
    with open_agent_release(released) as release:
        manifest = release.manifest.model_copy(update=facts)
    prove_environment(manifest, place, bundle, target="", variant="", limits=ChildLimits(), stopping=NEVER)


def test_an_environment_is_its_own(place: Path) -> None:
    code = "import edgesdk_agent, sys; print(edgesdk_agent.__file__, sys.prefix)"
    done = subprocess.run([place / "bin/python", "-I", "-c", code], capture_output=True, text=True, check=True)
    assert all(Path(one).is_relative_to(place) for one in done.stdout.split())
    assert not (place / ".wheels").exists()
    assert (place / launcher.PROBE).read_text() == "import numpy, cv2, edgesdk_agent.agent\n"


def test_what_does_not_load_says_another_version_or_answers_wrongly_is_refused(
    released: Path, place: Path, digits_bundle: Path, tmp_path: Path
) -> None:
    probe = (place / launcher.PROBE).read_text()
    (place / launcher.PROBE).write_text("import missing")
    with pytest.raises(EnvironmentFailed, match="import is not met: ModuleNotFoundError: No module named 'missing'"):
        proven(released, place, digits_bundle)
    (place / launcher.PROBE).write_text(probe)
    with pytest.raises(EnvironmentFailed, match=r"9\.9\.1.*9\.9\.2 was promised"):
        proven(released, place, digits_bundle, version="9.9.2")
    # A bundle without a golden set: nothing shows that the program answers rightly.
    with pytest.raises(EnvironmentFailed, match="golden set is not met"):
        proven(released, place, make(tmp_path, 1).path)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"python": "3.4"}, "is for Python 3.4"),
        ({"arch": "vax"}, "on vax"),
        ({"glibc": "2.999"}, "needs glibc 2.999"),
    ],
    ids=["python", "machine", "libc"],
)
def test_wheels_for_another_machine_are_refused_before_anything_is_built(
    released: Path, tmp_path: Path, facts: dict[str, object], says: str
) -> None:
    other = made_otherwise(released, tmp_path / "other.edgeagent", **facts)
    with pytest.raises(WrongTarget, match=says):
        built(other, tmp_path / "agents/one", tmp_path / "none")
    assert list((tmp_path / "agents/one").iterdir()) == []


def test_a_wheel_that_the_lock_names_and_nobody_brought_is_not_fetched_elsewhere(
    released: Path, tmp_path: Path, digits_bundle: Path
) -> None:
    without = made_otherwise(released, tmp_path / "other.edgeagent", leave_out="wheels/packages_of")
    with pytest.raises(BadBundle, match="names other wheels than the release brings"):
        built(without, tmp_path / "agents/one", digits_bundle)


def test_a_lock_that_says_more_than_wheels_is_refused_before_anything_is_written(
    released: Path, tmp_path: Path, digits_bundle: Path
) -> None:
    with open_agent_release(released) as release:
        lock = release.read("requirements.lock")
    other = made_otherwise(released, tmp_path / "o.edgeagent", lock=b"--index-url https://evil.example/simple\n" + lock)
    with pytest.raises(BadBundle, match="evil"):
        built(other, tmp_path / "agents/one", digits_bundle)
    assert list((tmp_path / "agents/one").iterdir()) == []


def test_a_disk_without_room_is_held_against_no_release(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = made_otherwise(released, tmp_path / "large.edgeagent", installed_bytes=1 << 40)
    with pytest.raises(NoSpace):
        built(large, tmp_path / "agents/one", tmp_path / "none")
    with pytest.raises(NoSpace, match="became full in its installation"):
        ran(tmp_path, "import sys; sys.exit('ERROR: Could not install: [Errno 28] No space left on device')")
    with pytest.raises(EnvironmentFailed, match="no wheel"):
        ran(tmp_path, "import sys; sys.exit('no wheel')")
    with pytest.raises(InputError):
        ran(tmp_path / "gone", "")
    real = os.statvfs(tmp_path)

    def no_programs(_path: object) -> object:
        return SimpleNamespace(
            f_flag=os.ST_NOEXEC, f_frsize=real.f_frsize, f_bavail=1 << 40, f_blocks=1 << 41, f_bfree=0
        )

    monkeypatch.setattr("os.statvfs", no_programs)
    with pytest.raises(DeviceError, match="No program may run"):
        built(released, tmp_path / "agents/two", tmp_path / "none")


def ran(folder: Path, code: str, limits: ChildLimits | None = None) -> str:
    limits = limits or ChildLimits(keep_free_bytes=0)
    return run_child("installation", [sys.executable, "-c", code], folder, limits=limits, stopping=NEVER)


def test_memory_that_is_short_is_held_against_no_release(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="too little memory"):
        ran(tmp_path, "import time; time.sleep(60)", ChildLimits(keep_free_bytes=1 << 60))
    with pytest.raises(DeviceError, match="was killed"):
        ran(tmp_path, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(EnvironmentFailed, match="crashed with signal 11"):
        ran(tmp_path, "import os; os.kill(os.getpid(), 11)")


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere/python"], ids=["without venv", "gone"])
def test_a_device_that_makes_no_environments_holds_it_against_no_release(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    monkeypatch.setattr("sys.executable", python)
    with pytest.raises(DeviceError, match="No environment can be made here"):
        built(released, tmp_path / "agents/one", tmp_path / "none")


def test_what_builds_gives_way_to_what_runs(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "while os.nice(0) < 19 or open('/proc/self/oom_score_adj').read().strip() != '1000': time.sleep(0.01)\n"
        "print('last')"
    )
    assert ran(tmp_path, code, ChildLimits(longest_s=30, keep_free_bytes=0)) == "last"


def test_what_is_ended_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "import os, subprocess, time\n"
        f"open('{told}.new', 'w').write(str(subprocess.Popen(['sleep', '300']).pid))\n"
        f"os.rename('{told}.new', '{told}')\n"
        "time.sleep(300)"
    )
    child = start_program([sys.executable, "-c", code], os.environ, folder=tmp_path)
    until = time.monotonic() + 60
    assert watch(child, tmp_path, lambda: 0.0 if told.exists() else until) is Ending.TOO_LONG
    state = Path(f"/proc/{told.read_text()}/stat")
    # Killed, whoever comes to ask for its end.
    wait_for(lambda: not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_an_agent_that_ends_takes_its_building_with_it_and_blames_nobody(released: Path, tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(DeviceError, match="begins anew"):
        built(released, tmp_path / "agents/one", tmp_path / "none", stopping)


# --- the state machine, with an environment that only says which it is


@pytest.fixture
def life(tmp_path: Path) -> Life:
    now, agent = make(tmp_path, 2), make_agent(tmp_path, 1)
    first_install(tmp_path / "update", now)
    return Life(tmp_path / "update", {one.release.id: one for one in (now, agent)})


def agent_of(life: Life) -> Release:
    return next(one.release for one in life.server.values() if one.release.kind == "agent")


def test_an_agents_number_is_compared_with_those_of_agents(life: Life, tmp_path: Path) -> None:
    """A bundle's releases are counted apart: that of today must not bar an agent that was signed yesterday."""
    life.live(life.server[agent_of(life).id])
    record = RecordFile(life.root).now
    assert (record.step, record.floor, record.agent_floor) == (Step.CONFIRMED, 2, 1)
    newer = make(tmp_path, 3)
    life.server[newer.release.id] = newer
    life.live(newer)
    record = RecordFile(life.root).now
    assert (record.step, record.floor, record.agent_floor) == (Step.CONFIRMED, 3, 1)
    content = Slots(life.root).content(launcher.read_switch(life.root).active)
    assert content is not None
    assert content.agent == agent_of(life)
    assert problems(life.root, life.server) == []
    # It runs, though another release came since.
    assert life.updater().runs(agent_of(life).id)


def test_the_way_back_is_to_both(life: Life) -> None:
    life.live(life.server[agent_of(life).id])
    life.live(back="worse")
    content = Slots(life.root).content(launcher.read_switch(life.root).active)
    assert content is not None
    assert (content.agent, content.environment) == (None, "")
    assert problems(life.root, life.server) == []


def test_a_running_bundle_that_was_withdrawn_keeps_no_agent_away(life: Life) -> None:
    """The agent that mends the device may be what is needed most then."""
    runs = next(one.release for one in life.server.values() if one.release.kind == "bundle")

    def released(digest: str, _path: Path | None) -> None:
        if digest == runs.id:
            raise BundleError("It was withdrawn.")

    life.proof = Proof(trusted=None, released=released)
    life.live(life.server[agent_of(life).id])
    assert RecordFile(life.root).now.step is Step.CONFIRMED


def test_there_is_never_a_third_environment(life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside: list[int] = []

    def counting(file: Path, place: Path, bundle: Path) -> None:
        beside.append(len([one for one in place.parent.iterdir() if one != place]))
        update_life.build(file, place, bundle)

    monkeypatch.setattr("edgesdk_agent.update.updater.Staging", lambda slots, proof, _: Staging(slots, proof, counting))
    for number in (1, 2, 3):
        made = make_agent(tmp_path, number)
        life.server[made.release.id] = made
        life.live(made)
        assert RecordFile(life.root).now.step is Step.CONFIRMED
    assert beside == [0, 1, 1]
    assert problems(life.root, life.server) == []


def test_why_it_was_not_built_outlives_what_cannot_be_tidied(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_given: object, **_named: object) -> None:
        raise InputError("The folder cannot be written.")

    def broken(_file: Path, _place: Path, _bundle: Path) -> None:
        monkeypatch.setattr("edgesdk_agent.update.environment.environments.Environments.forget", refused)
        raise EnvironmentFailed("It does not load.")

    monkeypatch.setattr("edgesdk_agent.update.updater.Staging", lambda slots, proof, _: Staging(slots, proof, broken))
    life.live(life.server[agent_of(life).id])
    record = RecordFile(life.root).now
    assert (record.step, record.why) == (Step.IDLE, "It does not load.")
    assert [one.id for one in record.failed] == [agent_of(life).id]


def test_what_cannot_be_left_any_more_is_said_and_not_passed_over(life: Life) -> None:
    bundle = next(one.release for one in life.server.values() if one.release.kind == "bundle")
    life.live(life.server[agent_of(life).id])
    with pytest.raises(InputError, match="another release came since"):
        life.updater().leave(bundle.id, "worse")


def test_a_launcher_that_knows_no_agents_is_found_out(life: Life) -> None:
    """One of before starts the installed agent for every slot: what is on trial is then not what runs."""
    content = SlotContent.of(agent_of(life), None, "a" * 32)
    assert "install` again" in not_in_environment(life.root, content)
    assert not not_in_environment(life.root, SlotContent.of(agent_of(life), None, ""))


@pytest.mark.parametrize("content", [b"{", b'{"id": 1}', None], ids=["damaged", "of another version", "no answer"])
def test_an_environment_stays_while_its_slot_cannot_tell_that_it_runs_by_it(life: Life, content: bytes | None) -> None:
    switch = life.live(life.server[agent_of(life).id])
    running = life.root / "agents"
    names = sorted(one.name for one in running.iterdir())
    mark = life.root / "slots" / switch.active / launcher.SLOT_FILE
    if content is None:
        mark.unlink()
        mark.mkdir()  # which cannot be read, as one of a disk that fails
    else:
        mark.write_bytes(content)
    life.updater().step()
    assert sorted(one.name for one in running.iterdir()) == names


def test_the_environment_of_this_process_stays_whatever_the_slots_say(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = life.root / "agents/kept", life.root / "agents/gone"
    for one in (kept, gone):
        one.mkdir(parents=True)
    monkeypatch.setattr("sys.prefix", str(kept))
    life.live()
    assert (kept.exists(), gone.exists()) == (True, False)


@pytest.mark.parametrize(
    "named", ["../../../../bin", "..", "/bin", "", 5, None], ids=["up", "dots", "root", "empty", "number", "null"]
)
def test_no_slot_leads_the_launcher_out_of_its_folder(tmp_path: Path, named: object) -> None:
    (tmp_path / "slots/a").mkdir(parents=True)
    (tmp_path / "slots/a/slot.json").write_text(json.dumps({"id": "x", "environment": named}))
    assert launcher.own_program(tmp_path, "a", "/opt/edgesdk/bin/edgesdk-agent") == ""


# --- who may send one


def test_an_agent_is_taken_from_whom_bundles_are_taken(released: Path, tmp_path: Path) -> None:
    proof = Proof(lambda: TrustedKeys.of(KEY.public))
    sources = Sources(proof.accept)
    release = sources.release_at(str(released))
    assert (release.kind, release.version, release.number) == ("agent", "9.9.1", 1)
    proof.identity(released, release)

    (tmp_path / "theirs").mkdir()
    theirs = agent_release(tmp_path / "theirs", "9.9.1", 1, STRANGER)
    with pytest.raises(Exception, match="not trusted here"):
        sources.release_at(str(theirs))
    unsigned = made_otherwise(released, tmp_path / "unsigned.edgeagent")
    with pytest.raises(Exception, match="not signed"):
        proof.identity(unsigned, release)
    tampered = tmp_path / "tampered.edgeagent"
    tampered.write_bytes(released.read_bytes()[:-100] + b"\0" * 100)
    with pytest.raises(BadBundle):
        proof.identity(tampered, release)


def test_neither_is_passed_off_as_the_other(released: Path, tmp_path: Path) -> None:
    proof = Proof(lambda: TrustedKeys.of(KEY.public))
    release = Sources(proof.accept).release_at(str(released))
    with pytest.raises(Exception, match="was promised"):
        proof.identity(released, release.model_copy(update={"kind": "bundle"}))
    with pytest.raises(BadBundle, match="agent's program, and no model"):
        open_bundle(released)
    with pytest.raises(BadBundle, match="manifest of the agent's release"):
        open_agent_release(make(tmp_path, 1).path)


# --- where it is made


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: next(folder.glob("packages*")).unlink(), "lacks 1 of the wheels"),
        (lambda folder: (folder / "requirements.lock").write_text("edgesdk\n"), "no lock file"),
        (lambda folder: (folder / "wheelhouse.env").write_text(""), "is not what it must be"),
        (shutil.rmtree, "cannot be read"),
    ],
    ids=["wheel", "lock", "settings", "folder"],
)
def test_what_is_no_wheelhouse_makes_no_release(tmp_path: Path, harm: Callable[[Path], object], says: str) -> None:
    folder = wheelhouse(tmp_path / "wheels", "9.9.1")
    harm(folder)
    with pytest.raises(InputError, match=says):
        release_from_wheelhouse(folder, tmp_path / "out.edgeagent")
    assert not (tmp_path / "out.edgeagent").exists()
