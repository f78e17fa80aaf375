"""Commands: once each, in time, answered, and remembered over a restart."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edgesdk_agent.commands.deadline import seconds_left
from edgesdk_agent.commands.table import VERBS
from edgesdk_agent.commands.verb import Verb
from edgesdk_agent.commands.verbs import update
from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Command, Reply
from edgesdk_testkit.slots import wait_until
from edgesdk_testkit.steered import CONFIG, PATIENCE_S, Bench

AT = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _ask(bench: Bench, verb: str, command_id: str = "1", left_s: float = 30.0, **arguments: Any) -> list[Reply]:
    command = Command(
        node="local.gate", at=AT, id=command_id, verb=verb, arguments=arguments, deadline=AT + timedelta(seconds=30)
    )
    bench.steering._runner.offer(command, left_s)
    bench.run()
    return bench.replies()


def test_a_command_is_accepted_and_then_done(bench: Bench) -> None:
    accepted, done = _ask(bench, "pause", camera="door")
    assert (accepted.step, accepted.ok) == ("accepted", True)
    assert (done.step, done.ok, done.data) == ("done", True, {"paused": ["door"]})
    assert bench.paused == {"door"}
    _ask(bench, "resume", "2", camera="door")
    assert bench.paused == set()


def test_a_repetition_is_answered_as_the_first_and_done_once(bench: Bench) -> None:
    first = _ask(bench, "set", values={"telemetry.interval_s": 5})[-1]
    bench.settings.set({"telemetry.interval_s": 6})
    (again,) = _ask(bench, "set", values={"telemetry.interval_s": 5})
    assert again.data == first.data
    assert bench.config.telemetry.interval_s == 6
    after_restart = Bench(bench.folder)
    (later,) = _ask(after_restart, "set", values={"telemetry.interval_s": 5})
    assert later.data == first.data


def test_another_command_of_the_same_id_is_refused_and_not_said_to_be_done(bench: Bench) -> None:
    _ask(bench, "pause", camera="door")
    for verb, camera in (("resume", "door"), ("pause", "yard")):
        (refused,) = _ask(bench, verb, camera=camera)
        assert (refused.step, refused.ok, refused.code) == ("refused", False, "arguments")
        assert "another command's, pause" in refused.message
    assert bench.paused == {"door"}
    after_restart = Bench(bench.folder)
    (refused,) = _ask(after_restart, "resume", camera="door")
    assert refused.step == "refused"
    (again,) = _ask(after_restart, "pause", camera="door")
    assert (again.step, again.ok) == ("done", True)


def test_a_restart_is_done_once_and_answered_by_the_next_start(bench: Bench) -> None:
    (accepted,) = _ask(bench, "restart")
    assert accepted.step == "accepted"
    assert bench.restarts == ["a command"]
    after = Bench(bench.folder)
    after.steering.resume()
    after.steering.start()
    try:
        wait_until(lambda: bool(after.inbox._said), "the answer")
        (done,) = after.replies()
    finally:
        after.steering.stop()
    assert (done.id, done.step, done.ok, done.message) == ("1", "done", True, "Started again.")
    assert [one.step for one in _ask(after, "restart")] == ["done"]
    assert after.restarts == []


def test_a_command_that_was_cut_off_is_told_and_not_begun_again(bench: Bench) -> None:
    from edgesdk_agent.commands.memory import Remembered

    bench.steering._runner._memory.note(Remembered(id="1", verb="set"))
    after = Bench(bench.folder)
    for one in after.steering._runner._memory.begun():
        after.steering._runner._answer_cut_off(one)
    (told,) = after.replies()
    assert (told.code, told.ok) == ("interrupted", False)
    assert _ask(after, "set", values={"telemetry.interval_s": 5})[-1].code == "interrupted"


@pytest.mark.parametrize(
    ("verb", "arguments", "code", "said"),
    [
        ("restrat", {}, "unknown", "Did you mean 'restart'?"),
        ("pause", {}, "arguments", "camera is required"),
        ("pause", {"camera": "door", "for": 5}, "arguments", "for is not known"),
        ("log-level", {"level": "loud"}, "arguments", "level"),
        ("logs", {"count": 10**9}, "arguments", "count"),
        ("set", {"values": {}}, "arguments", "values"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    bench: Bench, verb: str, arguments: dict[str, Any], code: str, said: str
) -> None:
    (refused,) = _ask(bench, verb, **arguments)
    assert (refused.step, refused.ok, refused.code) == ("refused", False, code)
    assert said in refused.message
    if code == "unknown":
        assert refused.data["verbs"] == ", ".join(sorted(VERBS))


def test_a_verb_that_fails_says_so(bench: Bench) -> None:
    accepted, failed = _ask(bench, "pause", camera="gone")
    assert accepted.step == "accepted"
    assert (failed.step, failed.ok) == ("done", False)
    assert "There is no camera 'gone'" in failed.message


def test_too_late_is_not_begun(bench: Bench) -> None:
    (late,) = _ask(bench, "pause", left_s=0.0, camera="door")
    assert (late.step, late.code) == ("refused", "expired")
    assert bench.paused == set()


def test_a_full_queue_refuses_and_who_offers_never_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, CONFIG.replace("state: state,", "state: state, queue: 2,"))
    for number in range(4):
        bench.steering._runner.offer(Command(node="local.gate", at=AT, id=str(number), verb="birth", deadline=AT), 30.0)
    busy = bench.replies()
    assert [(one.id, one.code) for one in busy] == [("2", "busy"), ("3", "busy")]


def test_a_verb_that_hangs_holds_up_commands_alone(tmp_path: Path) -> None:
    bench, gate, began = Bench(tmp_path), threading.Event(), threading.Event()

    def hang(_controls: object, _arguments: object) -> dict[str, Any]:
        began.set()
        gate.wait(PATIENCE_S)
        return {}

    runner = bench.steering._runner
    runner._verbs = {**VERBS, "hang": Verb("hang", "", hang)}
    bench.steering.resume()
    bench.steering.start()
    runner.offer(Command(node="local.gate", at=AT, id="1", verb="hang", deadline=AT), 30.0)
    assert began.wait(PATIENCE_S)
    runner.offer(Command(node="local.gate", at=AT, id="2", verb="birth", deadline=AT), 30.0)
    assert runner.counts()["offered"] == 2
    gate.set()
    wait_until(lambda: runner.counts().get("done") == 2, "both commands")
    bench.steering.stop()


def test_memory_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, CONFIG.replace("state: state,", "state: state, remembered: 3,"))
    for number in range(6):
        _ask(bench, "birth", str(number))
    assert len(bench.steering._runner._memory) == 3
    assert len(Bench(tmp_path).steering._runner._memory) == 3


def test_the_last_log_records_are_answered_without_secrets(bench: Bench) -> None:
    import logging

    book = bench.steering._shadow._logs
    book.open()
    try:
        logging.getLogger("camera").warning("rtsp://admin:hunter2@10.0.0.9/1 is gone")
        done = _ask(bench, "logs", count=5, level="warning")[-1]
    finally:
        book.close()
    (record,) = done.data["records"]  # type: ignore[misc]
    assert "hunter2" not in str(record)
    assert "10.0.0.9" in str(record)


class TestDeadline:
    @pytest.mark.parametrize(
        ("now", "expires_s", "left"),
        [
            (AT, None, 30.0),
            (AT + timedelta(seconds=40), None, -10.0),
            # The broker waited 20 of 30 seconds, whatever this device's clock says.
            (AT, 10.0, 10.0),
            # A clock at 1970: what the sender gave, or what the broker says is left of it.
            (datetime(1970, 1, 1, tzinfo=timezone.utc), None, 30.0),
            (datetime(1970, 1, 1, tzinfo=timezone.utc), 4.0, 4.0),
            # Behind the moment at which the sender spoke: wrong as well.
            (AT - timedelta(days=2), None, 30.0),
        ],
    )
    def test_how_long_is_left(self, now: datetime, expires_s: float | None, left: float) -> None:
        deadline = AT + timedelta(seconds=30)
        assert seconds_left(now=now, said_at=AT, deadline=deadline, expires_s=expires_s) == left

    def test_the_ends_of_time_are_no_error(self) -> None:
        first, last = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)
        assert seconds_left(now=AT, said_at=first, deadline=last, expires_s=None) > 0
        assert seconds_left(now=AT, said_at=last, deadline=first, expires_s=None) < 0


def test_no_picture_leaves_where_none_may(bench: Bench) -> None:
    refused = _ask(bench, "snapshot", camera="door")[-1]
    assert not refused.ok
    assert "pictures.enabled" in refused.message


def test_a_command_that_was_cut_off_and_cannot_be_answered_keeps_no_other_from_being_done(bench: Bench) -> None:
    from edgesdk_agent.commands.memory import Remembered

    runner = bench.steering._runner
    runner._memory.note(Remembered(id="no-topic-of-ours", verb="set"))
    runner._memory.note(Remembered(id="2", verb="set"))
    replies, fails = runner._replies, ["no-topic-of-ours"]

    def say(command_id: str, *step: Any, **more: Any) -> None:
        if command_id in fails:
            raise OSError("no room to say it")
        replies(command_id, *step, **more)

    runner._replies = say  # type: ignore[assignment]
    runner.start()
    try:
        command = Command(node="local.gate", at=AT, id="3", verb="birth", deadline=AT + timedelta(seconds=30))
        runner.offer(command, 30.0)
        wait_until(lambda: len(bench.inbox._said) >= 3, "the answers")
        told = {one.id: one.code for one in bench.replies() if one.step == "done"}
    finally:
        runner.stop()
    assert told == {"2": "interrupted", "3": ""}
    assert runner.counts()["broken"] == 1


def test_an_update_is_asked_for_from_an_address_and_never_from_a_path(bench: Bench) -> None:
    refused = _ask(bench, "update", address="https://models.example.com/m.edgebundle")[-1]
    assert (refused.ok, "takes no updates" in refused.message) == (False, True)
    asked: list[tuple[Any, ...]] = []
    controls = replace(bench.steering._runner._controls, ask_update=lambda *given: asked.append(given))
    for wrong in ({"address": "/etc/m.edgebundle"}, {"do": "back", "address": "https://x/m"}, {}):
        with pytest.raises(InputError, match="address"):
            update.VERB.run(controls, update.UpdateArguments.model_validate(wrong))
    for right in ({"address": "https://x/m.edgebundle"}, {"do": "back", "why": "worse"}):
        update.VERB.run(controls, update.UpdateArguments.model_validate(right))
    assert asked == [("install", "https://x/m.edgebundle", "", None), ("back", "", "worse", None)]


def test_a_shadow_run_goes_with_an_install_alone(bench: Bench) -> None:
    asked: list[tuple[Any, ...]] = []
    controls = replace(bench.steering._runner._controls, ask_update=lambda *given: asked.append(given))
    arguments = {"address": "https://x/m.edgebundle", "shadow": {"lasts_s": 600, "then": "wait"}}
    update.VERB.run(controls, update.UpdateArguments.model_validate(arguments))
    assert asked[0][3] == ShadowPlan(lasts_s=600, then="wait")
    with pytest.raises(InputError, match="goes with install"):
        update.VERB.run(controls, update.UpdateArguments.model_validate({"do": "abort", "shadow": {}}))
    with pytest.raises(ValueError, match="share"):
        update.UpdateArguments.model_validate({**arguments, "shadow": {"share": 2}})
