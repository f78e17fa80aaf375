"""A hook in a process of its own: real processes, real faults."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.delivery import hand_off
from edgesdk_agent.delivery.child import command
from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.frame_encoding import FrameDecoder, FrameEncoder
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.process import ProcessDelivery
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text
from edgesdk_targets.tensor import Array
from edgesdk_testkit import hooks
from edgesdk_testkit.slots import PATIENCE_S, wait_until

pytestmark = pytest.mark.alone

NAMES = ("cup", "bottle")
RESULTS: list[Result] = [
    Classification(np.array([1, 0]), np.array([0.75, 0.25], np.float32), NAMES),
    Detections(np.array([[1, 2, 3, 4.5]], np.float32), np.array([0.5], np.float32), np.array([1]), NAMES),
    Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), NAMES),
    Text("tréma", 0.5),
    Embedding(np.arange(5, dtype=np.float32)),
    Regression(np.array([1.0, np.nan], np.float32), ("x", "y")),
    Chained(
        Detections(np.ones((2, 4), np.float32), np.ones(2, np.float32), np.array([1, 0]), NAMES),
        (Classification(np.array([0]), np.array([1.0], np.float32), ("full", "empty")), None),
    ),
]


def frame(seq: int, image: Array | None = None, result: Result | None = None) -> FrameResult:
    return FrameResult("door", seq, 1.0, 2.0, 0.1, 0.01, 0.02, Text(str(seq), 1.0) if result is None else result, image)


def soon() -> RestartBudget:
    return RestartBudget(backoff=Backoff(0.01, 0.02))


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(hooks.NOTES, str(tmp_path))
    me = psutil.Process()
    files, children = me.num_fds(), me.children()
    yield tmp_path
    wait_until(lambda: me.num_fds() == files, "the closing of every file")
    assert me.children() == children  # zombies are children too


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: r.kind)
def test_a_result_travels_whole(result: Result) -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder(lambda _: pytest.fail("there is no picture"))
    for seq in (1, 2):  # the labels come with the first only
        message = encoder.encode(frame(seq, None, result), None)
        got = decoder.decode_result(message)
        assert (got.camera, got.seq, got.age_s, got.image) == ("door", seq, 0.1, None)
        assert type(got.result) is type(result)
        assert repr(got.result.to_json()) == repr(result.to_json())
        assert (b"bottle" in message) == (seq == 1 and isinstance(result, (Classification, Detections, Chained)))
    for name in ("boxes", "vector", "values"):
        array = getattr(got.result, name, None)
        assert array is None or (array.flags.owndata and array.flags.writeable and array.dtype == np.float32)


def test_results_and_pictures_arrive_in_order_in_one_other_process(notes: Path) -> None:
    delivery = ProcessDelivery(hooks.note, queue=2)
    delivery.start()
    for seq in range(30):
        # The pipeline writes the next frame into the same memory; cameras change their size.
        image = np.full((4 if seq < 15 else 40, 6, 3), seq, np.uint8) if seq != 20 else None
        delivery(frame(seq, image))
        if image is not None:
            image[:] = 255
    delivery.close(PATIENCE_S)
    lines = [line.split(" ", 3) for line in hooks.noted(notes)]
    assert [int(line[2]) for line in lines] == list(range(30))
    assert {line[0] for line in lines}.isdisjoint({str(os.getpid())})
    assert len({line[0] for line in lines}) == 1
    assert lines[14][3].endswith("(4, 6, 3) 14 False")
    assert lines[29][3].endswith("(40, 6, 3) 29 False")
    assert lines[20][3].endswith("no picture")
    assert delivery.counts() == DeliveryCounts(delivered=30)


def test_a_hook_that_raises_crashes_and_hangs_loses_just_those_results(notes: Path) -> None:
    news: list[HookNews] = []
    delivery = ProcessDelivery(hooks.note_with_faults, timeout_s=1.0, on_news=news.append, budget=soon())
    delivery.start()
    for seq in range(10):
        delivery(frame(seq, np.full((2, 2, 3), seq, np.uint8)))
        wait_until(lambda: delivery.counts().waiting == 0, f"frame {seq}")
    delivery.close(PATIENCE_S)
    assert [int(line.split()[2]) for line in hooks.noted(notes)] == [0, 1, 2, 4, 6, 8, 9]
    assert len({line.split()[0] for line in hooks.noted(notes)}) == 3
    assert delivery.counts() == DeliveryCounts(delivered=7, failed=2, hung=1)
    assert [(n.state, n.message) for n in news] == [
        ("failing", "ValueError: no 3"),
        ("crashed", "at frame 5: Its process was ended by SIGKILL."),
        ("hung", "at frame 7: It did not return within 1 s; its process is ended."),
    ]


def test_wait_waits_through_a_restart_that_outlasts_the_time_of_one_result(notes: Path) -> None:
    delivery = ProcessDelivery(
        hooks.note_with_faults, queue=1, timeout_s=0.4, budget=RestartBudget(backoff=Backoff(1.5, 1.5, lambda: 1.0))
    )
    delivery.start()
    for seq in (4, 5, *range(8, 20)):  # at 5 its process ends
        delivery(frame(seq))
    delivery.close(PATIENCE_S)
    assert delivery.counts() == DeliveryCounts(delivered=13, failed=1)


def test_a_restart_that_takes_too_long_is_not_waited_for(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_off, "_RESTARTS_WITHIN_S", 0.2)
    delivery = ProcessDelivery(
        hooks.crash, queue=1, timeout_s=0.1, budget=RestartBudget(backoff=Backoff(60.0, 60.0, lambda: 1.0))
    )
    delivery.start()
    for seq in range(20):
        delivery(frame(seq))
    delivery.close(0.0)
    assert delivery.counts() == DeliveryCounts(failed=1, dropped=19)


def test_a_hook_that_ends_every_time_is_given_up(notes: Path) -> None:
    news: list[HookNews] = []
    budget = RestartBudget(restarts=1, backoff=Backoff(0.01, 0.02))
    delivery = ProcessDelivery(hooks.crash, on_news=news.append, budget=budget)
    delivery.start()
    for seq in range(20):
        delivery(frame(seq))
    delivery.close(PATIENCE_S)
    assert delivery.counts() == DeliveryCounts(failed=2, dropped=18)
    assert [n.state for n in news] == ["crashed", "given_up"]
    assert news[0].message == "at frame 0: Its process ended with exit code 3."


def test_a_hook_that_hangs_does_not_hold_the_stop(notes: Path) -> None:
    delivery = ProcessDelivery(hooks.hang, timeout_s=60.0)
    delivery.start()
    for seq in range(3):
        delivery(frame(seq))
    wait_until(lambda: len(hooks.noted(notes)) == 1, "the hook's begin")
    delivery.close(0.05)
    assert delivery.counts() == DeliveryCounts(hung=1, dropped=2)


def test_what_the_hook_started_obeys_it_and_ends_with_it(notes: Path) -> None:
    delivery = ProcessDelivery(hooks.start_program, timeout_s=60.0)
    delivery.start()
    delivery(frame(0))
    wait_until(lambda: bool(hooks.noted(notes)), "the program's start")
    ended, left = map(int, hooks.noted(notes)[0].split())
    assert ended == -signal.SIGTERM
    assert _lives(left)
    delivery.close(0.05)
    wait_until(lambda: not _lives(left), "the program's end")


def test_a_process_whose_parent_is_gone_before_it_is_ready_ends_silently() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        for hook in (HookName.of(hooks.note), HookName.parse("edgesdk_testkit.hooks:absent")):
            line = command(hook, "hook", None, theirs.fileno(), [])
            ended = subprocess.run(line, pass_fds=[theirs.fileno()], capture_output=True, text=True, check=False)
            assert (ended.returncode, "BrokenPipe" in ended.stderr) == (0, False)


def test_a_delivery_takes_no_files_before_it_is_started(notes: Path) -> None:
    before = psutil.Process().num_fds()
    kept = [ProcessDelivery(hooks.note) for _ in range(3)]
    assert psutil.Process().num_fds() == before
    del kept


def test_a_delivery_that_was_never_started_leaves_nothing(notes: Path) -> None:
    delivery = ProcessDelivery(hooks.note)
    delivery.close(1.0)
    delivery.close(1.0)


@pytest.mark.parametrize(
    ("hook", "complaint"),
    [
        ("edgesdk_testkit.hooks:absent", "has no absent"),
        ("edgesdk_testkit.hooks:not_a_function", "cannot be called: not_a_function"),
        ("edgesdk_testkit.absent:hook", "There is no module edgesdk_testkit.absent"),
    ],
)
def test_a_hook_that_is_not_there_is_refused_at_the_start(hook: str, complaint: str, notes: Path) -> None:
    delivery = ProcessDelivery(hook)
    with pytest.raises(InputError, match=complaint):
        delivery.start()
    delivery.close(1.0)


def test_a_folder_is_searched_after_everything_else(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "mine.py").write_text("import json\nfrom edgesdk_testkit.hooks import note as on_result\n")
    delivery = ProcessDelivery("mine:on_result", folder=tmp_path)
    delivery.start()
    delivery(frame(0))
    delivery.close(PATIENCE_S)
    assert delivery.counts() == DeliveryCounts(delivered=1)
    assert "mine" not in sys.modules


def test_names() -> None:
    assert HookName.of(hooks.note) == HookName.parse("edgesdk_testkit.hooks:note")
    assert HookName.parse("a.b:C.d").function == "C.d"
    for text in ("a.b", "a:", ":f", "a..b:f", "a/b:f", "a:f()", "a:f;g", "a:class", "a:1f", "a: f", "a:b:c"):
        with pytest.raises(InputError, match="names no function"):
            HookName.parse(text)
    for function in (lambda _: None, notes_of(1), {}.get, functools_partial()):
        with pytest.raises(InputError):
            HookName.of(function)


def notes_of(_: int) -> object:
    def inner(_: FrameResult) -> None: ...

    return inner


def functools_partial() -> object:
    import functools

    return functools.partial(hooks.note)


def test_restarts_are_spent_and_come_back() -> None:
    now = [0.0]
    budget = RestartBudget(2, 60.0, Backoff(1.0, 8.0, lambda: 1.0), lambda: now[0])
    assert [budget.spend(), budget.spend(), budget.spend()] == [1.0, 2.0, None]
    now[0] = 59.0
    assert budget.spend() is None
    now[0] = 119.0
    assert budget.spend() == 1.0


_PARENT = """
import os, sys, threading
from edgesdk_agent.delivery.process import ProcessDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.results import Text
import edgesdk_testkit.hooks as hooks

def here(result): ...
if sys.argv[1] == "main":
    ProcessDelivery(here)
delivery = ProcessDelivery(hooks.hang, timeout_s=100)
delivery.start()
delivery(FrameResult("door", 0, 0, 0, 0, 0, 0, Text("", 1.0)))
threading.Event().wait()
"""


def _parent(how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(_PARENT), how]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=found)


def test_the_child_ends_when_its_parent_is_killed_even_while_the_hook_hangs(notes: Path) -> None:
    with _parent("killed") as parent:
        wait_until(lambda: bool(hooks.noted(notes)), "the hook's begin")
        child = int(hooks.noted(notes)[0].split()[0])
        os.kill(child, signal.SIGTERM)  # a service manager's: not the child's to obey
        assert _lives(child)
        parent.kill()
    wait_until(lambda: not _lives(child), "the child's end")


def test_a_function_of_the_script_itself_is_refused() -> None:
    with _parent("main") as parent:
        message = parent.communicate(timeout=PATIENCE_S)[1]
    assert "Put it into a module of its own" in message


def test_nothing_is_left_running() -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgesdk-hook")]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").split()[2] != "Z"
    except OSError:
        return False


def test_labels_of_many_models_stay_apart() -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder(lambda _: pytest.fail("there is no picture"))
    models = [Classification(np.array([0]), np.array([1.0]), (f"a{n}", f"b{n}")) for n in range(20)]
    for model in (*models, *models[-8:], *models[:3], *reversed(models)):
        assert decoder.decode(encoder.encode(frame(0, None, model), None)).result.to_json() == model.to_json()
    assert b"a19" in encoder.encode(frame(0, None, models[19]), None)  # long ago
    assert b"a0" not in encoder.encode(frame(0, None, models[0]), None)  # just now


@pytest.mark.parametrize("tracks", [[7], np.array([7], object)], ids=["list", "objects"])
def test_what_cannot_be_sent_takes_no_labels_along(tracks: Any) -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder(lambda _: pytest.fail("there is no picture"))
    one = Detections(np.ones((1, 4), np.float32), np.ones(1, np.float32), np.array([1]), NAMES)
    with pytest.raises(TypeError, match="cannot be sent to another process"):
        encoder.encode(frame(0, None, replace(one, track_ids=tracks)), None)
    got = decoder.decode_result(encoder.encode(frame(1, None, one), None))
    assert got.result.to_json() == one.to_json()


def test_a_device_that_has_no_files_left_is_told(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = ProcessDelivery(hooks.note)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds(), limits[1]))
    try:
        with pytest.raises(EdgeError, match="Too many open files"):
            delivery.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    delivery.close(1.0)
