"""The running agent's part: a wish is taken up, waits or is refused, and each is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.metrics import families
from edgesdk_agent.metrics.exposition import text_of
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.update import agent_update, launcher, rules
from edgesdk_agent.update.agent_update import AgentUpdate
from edgesdk_agent.update.boot_clock import moment
from edgesdk_agent.update.launched import Launched
from edgesdk_agent.update.record import RecordFile, Step, UpdateRecord
from edgesdk_agent.update.rules import Limits, deadline_in
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_targets.errors import FetchFailed, NoSpace
from edgesdk_testkit.update_device import STRANGER, Device, wait_for
from edgesdk_testkit.update_life import first_install, make


def wish(do: Any, token: str, address: object = "") -> Wish:
    return Wish(do=do, token=token * 16, address=str(address))


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.look", lambda _: None)
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.is_settled", lambda _: True)
    first_install(tmp_path / "update", make(tmp_path, 2))
    one = Device(tmp_path)
    yield one
    for update in one.running:
        update.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "edgesdk-update"]


def test_what_is_asked_for_is_refused_with_its_reason_and_told(device: Device) -> None:
    update = device.agent()
    stranger = device.made(3, STRANGER).path
    answer = device.asked(wish("install", "1", stranger), lambda one: not one.waits)
    assert (answer.taken, "not trusted here" in answer.why) == (False, True)
    answer = device.asked(wish("install", "2", device.made(1).path), lambda one: not one.waits)
    assert "this device has confirmed 2" in answer.why
    answer = device.asked(wish("back", "3"), lambda one: not one.waits)
    assert "no release before this one" in answer.why
    # By its digest, whoever watches knows which one was refused; a release that does not run here is left already.
    told_of = [data["id"] for name, _, data in device.told if name == "update_refused"]
    assert (len(told_of), told_of[2], device.made(1).release.id in told_of) == (3, "", True)
    left = Wish(do="back", token="4" * 16, release="sha256:" + "7" * 64)
    assert device.asked(left, lambda one: not one.waits).taken
    codes = wait_for(lambda: len(told := [data["code"] for *_, data in device.told if "code" in data]) == 3 and told)
    assert codes == ["unknown_key", "downgrade", "input"]
    assert update.counts() == {"refused": 3}
    assert RecordFile(device.root).now.step is Step.IDLE


def test_a_bundle_without_a_golden_set_comes_and_goes_and_the_steps_are_told(device: Device) -> None:
    device.agent()
    made = device.made(3)
    assert device.asked(wish("install", "1", made.path), lambda one: not one.waits).taken
    steps = wait_for(lambda: (told := _steps(device)) and told[-1]["step"] == "idle" and told)
    assert [one["step"] for one in steps] == ["downloading", "verified", "idle"]
    assert {one["executing"] for one in steps} == {"sha256:none"}
    assert "golden set" in RecordFile(device.root).now.why


def test_what_became_of_updates_stands_in_the_metrics(device: Device) -> None:
    """As Prometheus reads them, and as telemetry tells them; of a confirmed one and one that went back, test_update.py."""
    parser = pytest.importorskip("prometheus_client.parser")
    update, counts = device.agent(), CountRegistry()
    counts.add("update", update.counts)
    # What did not happen is left out, and not said to be none.
    assert counts.flat() == {}
    for token, path in (("1", device.made(3, STRANGER).path), ("2", device.made(1).path)):
        device.asked(wish("install", token, path), lambda one: not one.waits)
    device.asked(wish("install", "3", device.made(3).path), lambda one: one.taken)
    wait_for(lambda: update.counts().get("failed"))
    assert counts.flat() == {"update.refused": 2, "update.failed": 1}
    text = text_of(families.count_families(counts.read()))
    found = {
        (one.name, one.labels["what"]): one.value
        for family in parser.text_string_to_metric_families(text)
        for one in family.samples
    }
    assert found == {("edgesdk_update_total", "refused"): 2, ("edgesdk_update_total", "failed"): 1}


def test_where_an_update_is_is_said_with_each_step(device: Device) -> None:
    """What birth and reported go on saying, for a fleet that has lost the events."""
    standing: list[str] = []
    device.agent(standing=standing.append)
    device.asked(wish("install", "1", device.made(3).path), lambda one: one.taken)
    wait_for(lambda: standing[-1:] == ["idle"] and len(standing) > 1)
    assert standing == ["idle", "downloading", "verified", "idle"]


def _steps(device: Device) -> list[dict[str, Any]]:
    return [data for name, _, data in device.told if name == "update_step"]


def test_what_cannot_be_had_now_waits_and_something_else_takes_its_place(device: Device) -> None:
    device.agent()
    answer = device.asked(wish("install", "1", "http://127.0.0.1:1/m.edgebundle"), lambda one: one.waits)
    assert "does not answer" in answer.why
    answer = device.asked(wish("install", "2", device.folder / "stick.edgebundle"), lambda one: one.waits)
    assert "There is no file" in answer.why
    told = wait_for(lambda: len(found := [one for one in device.told if one[0] == "update_waits"]) == 2 and found)
    assert ["does not answer" in message for _, message, _ in told] == [True, False]
    assert device.asked(wish("abort", "3"), lambda one: one.taken).taken
    wait_for(lambda: WishFiles(device.root).wish() is None)


def test_what_never_comes_is_refused_once_its_time_is_over(device: Device) -> None:
    """A server that answers 404 for ever, also over restarts of the agent: the wish remembers since when it waits."""
    gone, over = wish("install", "1", device.folder / "gone.edgebundle"), deadline_in(6 * 3600.0, moment())
    files = WishFiles(device.root)
    files.ask(gone)
    files.answer(gone, waits=True, why="The server answered 404.", until=over.model_copy(update={"until_s": 0.0}))
    update = device.agent()
    wait_for(lambda: update.counts() == {"refused": 1})
    wait_for(lambda: files.wish() is None)
    answer = files.answered()
    assert answer is not None
    assert "took longer than 21600 s" in answer.why
    assert [name for name, *_ in device.told] == ["update_refused"]


def far_hours() -> str:
    far = (time.localtime().tm_hour + 6) % 24
    return f"{far:02}:00-{far:02}:30"


def test_hours_are_kept_by_a_clock_that_is_right_and_by_no_other(device: Device) -> None:
    hours = far_hours()
    first = device.agent(hours=hours)
    made = device.made(3)
    assert device.asked(wish("install", "1", made.path), lambda one: one.waits).why == f"It waits for {hours}."
    first.stop()
    device.clock_trusted = False
    device.agent(hours=hours)
    assert device.asked(wish("install", "2", made.path), lambda one: one.taken).taken


class Turns:
    """An agent's part without its thread, which the test turns by hand; and what it told, with its severity."""

    def __init__(self, device: Device, **section: Any) -> None:
        self.update: AgentUpdate = device.agent(started=False, **section)
        self.told: list[tuple[str, str]] = []
        tell = lambda name, severity, _message, **_: self.told.append((name, severity))  # noqa: E731
        self.update._tell = self.update._desk._tell = tell

    def turn(self) -> None:
        """Look once, as if all waiting were over."""
        self.update._retry_at = 0.0
        self.update._turn()

    def open_hours(self) -> None:
        self.update._section = self.update._section.model_copy(update={"hours": None})
        self.update._desk._longest_s = self.update._section.limits().downloading_s


def seven_hours_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = agent_update.moment()
    later = replace(now, at_s=now.at_s + 7 * 3600)
    for module in ("agent_update", "wish_desk"):
        monkeypatch.setattr(f"edgesdk_agent.update.{module}.moment", lambda: later)


def test_a_wish_waits_for_its_hours_however_far_they_are(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    turns, files = Turns(device, hours=far_hours()), WishFiles(device.root)
    files.ask(wish("install", "1", device.made(3).path))
    turns.turn()
    seven_hours_later(monkeypatch)
    turns.turn()
    answer = files.answered()
    assert answer is not None
    assert (answer.waits, answer.until, turns.told) == (True, None, [("update_waits", "info")])
    turns.open_hours()
    turns.turn()
    answer = files.answered()
    assert answer is not None
    assert answer.taken


def staged(device: Device, *, back: bool) -> UpdateRecord:
    """Let release 2 run, release 1 be in the other slot, and one of them be staged there."""
    one = make(device.folder, 1)
    (device.root / "slots/b/model.edgebundle").write_bytes(one.path.read_bytes())
    (device.root / "slots/b/slot.json").write_text(one.release.model_dump_json())
    file = RecordFile(device.root)
    before = file.now.but(previous=one.release)
    asked = rules.return_asked(before, launcher.read_switch(device.root), "worse", moment(), Limits())
    file.write(asked.but(back=back))
    return file.now


def order(device: Device) -> Any:
    return launcher.read_json(device.root / launcher.ORDER).get("do")


def test_what_is_staged_lasts_until_its_hours(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(device, back=False)
    turns, began = Turns(device, hours=far_hours()), order(device)
    seven_hours_later(monkeypatch)
    turns.turn()
    assert (RecordFile(device.root).now.step, order(device)) == (Step.STAGED, began)
    turns.open_hours()
    turns.turn()
    assert (RecordFile(device.root).now.step, order(device)) == (Step.STAGED, "try")


def test_a_download_that_runs_into_closed_hours_lasts_until_they_are_open(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, file = Turns(device, hours=far_hours()), RecordFile(device.root)
    made = device.made(3)
    release = made.release.model_copy(update={"size": made.path.stat().st_size})
    switch = launcher.read_switch(device.root)
    file.write(rules.offered(file.now, switch, release, moment(), Limits(), str(made.path)))
    # Its own time would be over.
    seven_hours_later(monkeypatch)
    turns.turn()
    assert RecordFile(device.root).now.step is Step.DOWNLOADING
    turns.open_hours()
    turns.turn()
    assert RecordFile(device.root).now.step is Step.VERIFIED


def test_a_download_that_cannot_go_on_says_why_once_and_goes_on(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a start at 1970 in the midst of it: nobody asks for it any more, who could be told."""
    turns, file = Turns(device), RecordFile(device.root)
    made = device.made(3)
    release = made.release.model_copy(update={"size": made.path.stat().st_size})
    switch = launcher.read_switch(device.root)
    file.write(rules.offered(file.now, switch, release, moment(), Limits(), str(made.path)))
    with monkeypatch.context() as patch:
        # One that is interrupted for what else is asked for is not held up.
        patch.setattr(turns.update, "_interrupted", lambda: "Something else is asked for.")
        patch.setattr(turns.update._sources, "_open_now", lambda: "Something else is asked for.")
        turns.turn()
    assert turns.told == []
    away = made.path.rename(made.path.with_suffix(".away"))
    for _ in range(3):
        turns.turn()
    assert turns.told == [("update_waits", "warning")]
    assert RecordFile(device.root).now.step is Step.DOWNLOADING
    away.rename(made.path)
    turns.turn()
    assert RecordFile(device.root).now.step is Step.VERIFIED
    assert turns.told[1:] == [("update_step", "info")]


def test_what_is_staged_in_open_hours_has_its_time(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    staged(device, back=False)
    turns = Turns(device)
    seven_hours_later(monkeypatch)
    turns.turn()
    assert RecordFile(device.root).now.step is Step.IDLE


def test_the_way_back_waits_for_no_hours(device: Device) -> None:
    staged(device, back=True)
    turns = Turns(device, hours=far_hours())
    turns.turn()
    assert order(device) == "try"


def test_who_is_replaced_takes_nothing_away_from_under_itself(device: Device) -> None:
    """Its trial was ended, and it takes seconds to stop: the slot is pruned by the one that comes."""
    made = device.made(3)
    release = made.release.model_copy(update={"size": made.path.stat().st_size})
    turns, file = Turns(device), RecordFile(device.root)
    turns.update._launched = Launched(device.root, "b")
    (device.root / "slots/b/model.edgebundle").write_bytes(made.path.read_bytes())
    (device.root / "slots/b/slot.json").write_text(release.model_dump_json())
    file.write(file.now.but(step=Step.ROLLED_BACK, release=release, slot="b"))
    turns.turn()
    assert (device.root / "slots/b/slot.json").exists()
    turns.update._launched = Launched(device.root, "a")
    turns.turn()
    assert not (device.root / "slots/b/slot.json").exists()


def test_a_repository_that_does_not_answer_is_asked_ever_less_often(device: Device) -> None:
    turns, asked = Turns(device), list[Path]()

    def released(_digest: str, bundle: Path | None) -> None:
        # Reached until the bundle is in its slot, and then no more.
        if bundle is not None and bundle.parent.name == "b":
            asked.append(bundle)
            raise FetchFailed("The fleet's repository cannot be read.")

    turns.update._proof = turns.update._desk._proof = replace(turns.update._proof, released=released)
    WishFiles(device.root).ask(wish("install", "1", device.made(3).path))
    until = time.monotonic() + 60
    while not asked:
        assert time.monotonic() < until, RecordFile(device.root).now
        turns.turn()
    for _ in range(5):
        turns.update._turn()
    assert (len(asked), RecordFile(device.root).now.step) == (1, Step.VERIFIED)
    turns.turn()
    assert len(asked) == 2


@pytest.mark.parametrize("event", ["update_refused", "update_waits"])
def test_on_a_full_disk_it_is_told_once_and_a_given_bundle_stays_until_the_answer_is_written(
    device: Device, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    turns, files = Turns(device), WishFiles(device.root)
    stranger = device.made(3, STRANGER).path
    given = files.give(stranger, "1" * 16) if event == "update_refused" else str(device.folder / "gone.edgebundle")
    files.ask(wish("install", "1", given))

    def full(*_: object, **__: object) -> None:
        raise NoSpace("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr("edgesdk_agent.update.wish.write_whole", full)
        for _ in range(3):
            with pytest.raises(NoSpace):
                turns.turn()
    assert turns.told == [(event, "warning")]
    assert Path(given).exists() is (event == "update_refused")
    turns.turn()
    answer = files.answered()
    assert answer is not None
    assert (answer.waits, answer.taken, Path(given).exists()) == (event == "update_waits", False, False)
    assert turns.told == [(event, "warning")]
    assert turns.update.counts() == ({"refused": 1} if event == "update_refused" else {})


def test_a_disk_that_is_full_for_a_repositorys_files_makes_a_wish_wait(device: Device) -> None:
    turns = Turns(device)

    def released(_digest: str, _bundle: Path | None) -> None:
        raise NoSpace("The disk is full.")

    turns.update._proof = turns.update._desk._proof = replace(turns.update._proof, released=released)
    WishFiles(device.root).ask(wish("install", "1", device.made(3).path))
    turns.turn()
    answer = WishFiles(device.root).answered()
    assert answer is not None
    assert (answer.waits, answer.why, turns.told) == (True, "The disk is full.", [("update_waits", "warning")])
