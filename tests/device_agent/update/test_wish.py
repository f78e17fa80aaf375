"""What is asked for at the device, the hours it is done in, and what a trial reads off the running agent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgesdk_agent
from edgesdk_agent.latency_histogram import Percentiles
from edgesdk_agent.main import run
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.update.launched import launched
from edgesdk_agent.update.launcher import SLOT_VARIABLE, Switch, write_switch
from edgesdk_agent.update.record import Release
from edgesdk_agent.update.result_profile import Spread
from edgesdk_agent.update.result_tally import ResultTally
from edgesdk_agent.update.trial_gate import GateLimits
from edgesdk_agent.update.trial_watch import Baseline, RunningAgent, TrialWatch
from edgesdk_agent.update.was_launched import was_launched
from edgesdk_agent.update.window import Window
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.errors import InputError

ONE = Wish(do="install", token="0" * 16, address="/media/stick/m.edgebundle")
TWO = Wish(do="abort", token="1" * 16)


class TestWishes:
    def test_is_there_until_it_is_answered(self, tmp_path: Path) -> None:
        files = WishFiles(tmp_path)
        assert files.wish() is None
        files.ask(ONE)
        files.answer(ONE, waits=True, why="the hour")
        assert files.wish() == ONE
        files.answer(ONE, taken=True)
        assert files.wish() is None
        answer = files.answered()
        assert answer is not None
        assert (answer.token, answer.taken, answer.waits) == (ONE.token, True, False)

    def test_one_that_came_meanwhile_is_not_lost(self, tmp_path: Path) -> None:
        files = WishFiles(tmp_path)
        files.ask(ONE)
        taken = files.wish()
        files.ask(TWO)
        assert taken is not None
        files.answer(taken, taken=True)
        assert files.wish() == TWO

    def test_where_there_are_no_slots_it_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no slots"):
            WishFiles(tmp_path / "nothing").ask(ONE)

    @given(st.binary(max_size=200))
    def test_whatever_lies_there_is_a_wish_or_removed(self, tmp_path_factory: Any, raw: bytes) -> None:
        folder = tmp_path_factory.mktemp("wish")
        (folder / "wish.json").write_bytes(raw)
        assert (WishFiles(folder).wish() is None) == (not (folder / "wish.json").exists())


def _asked_as_root(folder: Path, slots: str, bundle: Path) -> int:
    """Run the command in a process of its own, which changes who it is."""
    config = folder / "edgesdk.yaml"
    config.write_text(
        f"bundle: m.edgebundle\ncameras: [{{name: a, source: 'synthetic:'}}]\nupdate: {{keys: [k], folder: {slots}}}\n"
    )
    words = ["update", "install", str(bundle), "--no-wait", "--config", str(config)]
    return subprocess.run(
        [sys.executable, "-m", "edgesdk_agent.main", *words], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False, capture_output=True, extra_groups=[0],
    ).returncode  # fmt: skip


class TestGivenBundles:
    def test_one_is_copied_to_where_the_agent_sees_it_and_taken_away_again(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        files, bundle = WishFiles(tmp_path / "root"), tmp_path / "m.edgebundle"
        bundle.write_bytes(bytes(3 << 20))
        address = Path(files.give(bundle, ONE.token))
        assert address == tmp_path / "root/given" / f"{ONE.token}.edgebundle"
        assert address.read_bytes() == bundle.read_bytes()
        assert address.stat().st_mode & 0o777 == 0o644
        files.take_away(str(bundle))
        assert bundle.exists(), "what lies elsewhere is not the agent's"
        files.take_away(str(address))
        assert not address.exists()
        with pytest.raises(InputError, match="cannot be read"):
            files.give(tmp_path / "none", ONE.token)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for somebody else")
    def test_what_root_writes_is_the_folders_owners_and_goes_nowhere_else(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)
            root, elsewhere, private = folder / "root", folder / "elsewhere", folder / "private"
            for one in (root, elsewhere, private):
                one.mkdir()
            os.chown(root, 65534, 65534)
            elsewhere.chmod(0o770)
            # As `mktemp -d` makes it, into which `edgesdk deploy --direct` copies.
            private.chmod(0o700)
            bundle = private / "m.edgebundle"
            bundle.write_bytes(b"x")
            assert _asked_as_root(folder, "root", bundle) == 0
            written = [root / "wish.json", *(root / "given").iterdir()]
            assert [path.stat().st_uid for path in written] == [65534, 65534]
            # A service that somebody took over must not have an administrator write for it.
            shutil.rmtree(root / "given")
            (root / "given").symlink_to(elsewhere)
            (folder / "link").symlink_to(elsewhere)
            assert _asked_as_root(folder, "root", bundle) == 2
            assert _asked_as_root(folder, "link", bundle) == 2
            assert not list(elsewhere.iterdir())

    def test_what_nobody_asks_for_any_more_goes(self, tmp_path: Path) -> None:
        files, bundle = WishFiles(tmp_path), tmp_path / "m.edgebundle"
        bundle.write_bytes(b"x")
        wished, needed, left = (files.give(bundle, digit * 16) for digit in "123")
        files.ask(ONE.model_copy(update={"address": wished}))
        files.tidy(needed)
        assert [Path(one).exists() for one in (wished, needed, left)] == [True, True, False]


class TestHours:
    @pytest.mark.parametrize(
        ("hours", "minute", "open_then"),
        [("01:00-05:30", 60, True), ("01:00-05:30", 330, False), ("22:00-05:00", 1439, True), ("22:00-05:00", 299, True),
         ("22:00-05:00", 300, False), ("22:00-05:00", 1319, False)],
    )  # fmt: skip
    def test_may_go_over_midnight(self, hours: str, minute: int, open_then: bool) -> None:
        assert Window.from_text(hours).holds(minute) is open_then

    @pytest.mark.parametrize("text", ["", "1-5", "25:00-01:00", "01:60-02:00", "03:00-03:00", "01:00-02:00 "])
    def test_what_is_no_hours_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="two times"):
            Window.from_text(text)


def test_who_was_launched_knows_its_slot_and_that_another_takes_its_place(tmp_path: Path) -> None:
    assert launched({}) is None
    assert launched({"EDGESDK_SLOTS": str(tmp_path), "EDGESDK_SLOT": "../a"}) is None
    found = launched({"EDGESDK_SLOTS": str(tmp_path), "EDGESDK_SLOT": "a"})
    assert found is not None
    write_switch(tmp_path, Switch("a", "one"))
    assert not found.is_replaced()
    write_switch(tmp_path, Switch("b", "two"))
    assert found.is_replaced()


def test_the_agent_looks_for_the_name_that_the_launcher_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SLOT_VARIABLE, raising=False)
    assert not was_launched()
    monkeypatch.setenv(SLOT_VARIABLE, "a")
    assert was_launched()


def test_the_name_is_written_by_the_launcher_and_once_more_by_the_agent() -> None:
    folder = Path(str(edgesdk_agent.__file__)).parent
    named = {path.name for path in folder.rglob("*.py") if '"EDGESDK_SLOT"' in path.read_text("utf-8")}
    assert named == {"launcher.py", "was_launched.py"}


def test_a_folder_that_the_launcher_names_from_where_it_is_is_the_same_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What builds an environment works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    found = launched({"EDGESDK_SLOTS": "out/update", "EDGESDK_SLOT": "a"})
    assert found is not None
    assert found.root == tmp_path / "out/update"


NEW = Release(id=f"sha256:{'a' * 64}", name="cnn", version="1.0.3", number=3, size=1)
NOTHING = FrameStats(0, 0, {}, 0, 0, 1.0, 0.0, Percentiles(), Percentiles(), Percentiles())

NOTHING_KNOWN = Baseline({}, {})


class _Agent:
    """A running agent of two cameras, as a trial sees it."""

    def __init__(self, *, compares: bool = False) -> None:
        self.now, self.digest, self.paused = 0.0, NEW.id, frozenset[str]()
        self.frames = {"gate": 0, "door": 0}
        self.tally, self.unlike = ResultTally(), None if not compares else 4.0
        self.silent = frozenset[str]()

    def watch(self) -> TrialWatch:
        agent = RunningAgent(
            self._stats, self._recent, lambda: self.paused, lambda: self.digest, lambda: True, self.tally
        )
        limits = GateLimits(soak_s=4.0, uncompared_soak_s=8.0, least_frames=5, budget_ms=100.0, unlike=self.unlike)
        return TrialWatch(agent, limits, lambda: self.now)

    def _stats(self) -> FrameStats:
        cameras = {
            name: replace(NOTHING, processed=count, age=Percentiles(p95=0.02 if count else None))
            for name, count in self.frames.items()
        }
        return replace(NOTHING, cameras=cameras)

    def _recent(self) -> FrameStats:
        found = self._stats().cameras
        return replace(NOTHING, cameras={name: NOTHING if name in self.silent else one for name, one in found.items()})


class TestTheTrial:
    def test_is_healthy_once_every_camera_brought_results_for_long_enough(self) -> None:
        agent = _Agent()
        watch = agent.watch()
        agent.frames = {"gate": 9, "door": 4}
        agent.now = 5.0
        assert watch.verdict(NEW, NOTHING_KNOWN).waits_for == "camera door: 4 of 5 results"
        agent.frames["door"] = 5
        assert watch.verdict(NEW, NOTHING_KNOWN).healthy

    def test_a_camera_that_was_dead_before_or_is_paused_holds_nothing_up(self) -> None:
        agent = _Agent()
        watch = agent.watch()
        agent.frames["gate"], agent.now = 9, 5.0
        assert watch.verdict(NEW, Baseline({"gate": 20.0}, {})).healthy
        agent.paused = frozenset({"door"})
        assert watch.verdict(NEW, Baseline({"gate": 20.0, "door": 20.0}, {})).healthy
        agent.paused = frozenset()
        assert not watch.verdict(NEW, Baseline({"gate": 20.0, "door": 20.0}, {})).healthy

    def test_one_that_brought_enough_and_then_hangs_is_not_healthy(self) -> None:
        agent = _Agent()
        watch = agent.watch()
        agent.frames, agent.now = {"gate": 9, "door": 9}, 3.0
        assert watch.verdict(NEW, NOTHING_KNOWN).waits_for == "1 s more"
        agent.silent, agent.now = frozenset({"door"}), 6.0
        assert watch.verdict(NEW, NOTHING_KNOWN).waits_for == "camera door: no results of late"
        agent.silent, agent.now = frozenset(), 9.0
        assert watch.verdict(NEW, NOTHING_KNOWN).healthy

    def test_nothing_to_compare_with_is_said_and_takes_longer(self) -> None:
        agent = _Agent(compares=True)
        watch = agent.watch()
        agent.frames, agent.now = {"gate": 9, "door": 9}, 5.0
        known = {"gate": 20.0}
        assert (
            watch.verdict(NEW, Baseline(known, {})).waits_for == "3 s more, as what camera gate saw before is not known"
        )
        spread = {"results": Spread(mean=1.0, sd=0.0, stretches=3)}
        assert watch.verdict(NEW, Baseline(known, {"gate": spread})).healthy
        agent.now = 9.0
        assert watch.verdict(NEW, Baseline(known, {})).healthy

    def test_what_it_is_compared_with_is_of_a_time_without_a_proof_beside_it(self) -> None:
        agent = _Agent()
        watch = agent.watch()
        agent.frames["gate"], agent.now = 9, 5.0
        watch.look()
        assert watch.baseline().p95_ms == {"gate": 20.0}
        # Of the time before this was asked nothing counts, however much there was.
        assert not watch.is_settled()
        agent.now = 6.0
        watch.look()
        assert not watch.is_settled()
        agent.now = 7.0
        watch.look()
        assert watch.is_settled()
        # Another update, with a proof of its own.
        watch.unsettle()
        assert not watch.is_settled()

    def test_too_few_stretches_are_waited_for_though_not_for_ever(self) -> None:
        agent = _Agent(compares=True)
        watch = agent.watch()
        agent.frames["gate"] = 9
        assert not watch.is_settled()
        for agent.now in (2.5, 3.0, 5.0):
            watch.look()
            assert not watch.is_settled()
        agent.now = 6.0
        assert watch.is_settled()

    def test_where_something_else_runs_it_says_nothing_of_the_release(self) -> None:
        agent = _Agent()
        agent.digest = f"sha256:{'b' * 64}"
        assert "not what is on trial" in agent.watch().verdict(NEW, NOTHING_KNOWN).void


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "edgesdk.yaml"
    text = "bundle: m.edgebundle\ncameras: [{name: a, source: 'synthetic:'}]\n"
    config.write_text(text)
    assert run(["update", "status", "--config", str(config)]) == 2
    assert "no section `update`" in capsys.readouterr().err
    config.write_text(f"{text}update: {{keys: [k], folder: {tmp_path / 'none'}}}\n")
    assert run(["update", "status", "--config", str(config)]) == 2
    assert "update begin" in capsys.readouterr().err
    config.write_text(f"{text}update: {{keys: [k], soak_s: 600, trial_s: 600}}\n")
    assert run(["update", "status", "--config", str(config)]) == 2
    assert "leaves no time" in capsys.readouterr().err
