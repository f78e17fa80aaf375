"""The running agent's part: a wish is taken up, waits or is refused, and each is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from edgesdk_agent.update.agent_update import moment
from edgesdk_agent.update.record import RecordFile, Step
from edgesdk_agent.update.rules import deadline_in
from edgesdk_agent.update.wish import Wish, WishFiles
from edgesdk_testkit.update_device import STRANGER, Device, wait_for
from edgesdk_testkit.update_life import first_install, make


def wish(do: Any, token: str, address: object = "") -> Wish:
    return Wish(do=do, token=token * 16, address=str(address))


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    monkeypatch.setattr("edgesdk_agent.update.trial_watch.TrialWatch.look", lambda _: None)
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


def test_hours_are_kept_by_a_clock_that_is_right_and_by_no_other(device: Device) -> None:
    now = time.localtime()
    far = (now.tm_hour + 6) % 24
    hours = f"{far:02}:00-{far:02}:30"
    first = device.agent(hours=hours)
    made = device.made(3)
    assert device.asked(wish("install", "1", made.path), lambda one: one.waits).why == f"It waits for {hours}."
    first.stop()
    device.clock_trusted = False
    device.agent(hours=hours)
    assert device.asked(wish("install", "2", made.path), lambda one: one.taken).taken
