"""A stop that comes while user code is being imported into a process of its own: nobody waits for the import."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from edgesdk_agent.agent_start import start_unless_stopped
from edgesdk_agent.backoff import Backoff
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery.each import DeliverToEach
from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter
from edgesdk_agent.delivery.hook_settings import HookSettings, hook_delivery
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.restart_budget import RestartBudget
from edgesdk_agent.delivery.stage_settings import StageSettings, filtered_delivery
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.stop_request import StopRequest
from edgesdk_targets.errors import InputError, SessionFailed
from edgesdk_testkit.pipelines import Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until

# Far longer than any test waits.
SLEEPY = """
import os, pathlib, time

starts = pathlib.Path(__file__).parent / "starts"
with starts.open("a") as file:
    file.write("+")
time.sleep(600 if {slow} else 0)

def function(_one):
    os._exit(3)
"""
CALL = "sleepy:function"


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    children = psutil.Process().children()
    yield
    wait_until(lambda: psutil.Process().children() == children, "the end of every process")


def sleepy(folder: Path, slow: str = "True") -> Callable[[], int]:
    """Write the user's module, and return what says how often it was imported so far."""
    (folder / "sleepy.py").write_text(SLEEPY.format(slow=slow))
    (folder / "starts").touch()
    return lambda: len((folder / "starts").read_text())


def film() -> SyntheticCamera:
    return SyntheticCamera(width=32, height=16, frames=30)


def with_on_frame(folder: Path) -> Pipeline:
    soon = partial(RestartBudget, 5, backoff=Backoff(0.01, 0.02))
    stage = ProcessFrameFilter(CALL, folder=folder, budget=soon)
    return make({"door": film()}, Script(), Sink(), "every_frame", on_frame=stage)


def with_on_result(folder: Path) -> Pipeline:
    stage = filtered_delivery(CALL, Sink(), StageSettings("process", folder=folder))
    return make(film(), Script(), stage, "every_frame")


def with_hook(folder: Path) -> Pipeline:
    hooks = DeliverToEach([InlineDelivery(Sink()), hook_delivery(CALL, HookSettings(folder=folder))])
    return make(film(), Script(), hooks, "every_frame")


def with_two_hooks(folder: Path) -> Pipeline:
    hooks = DeliverToEach([hook_delivery(CALL, HookSettings(folder=folder)) for _ in range(2)])
    return make(film(), Script(), hooks, "every_frame")


def ended(process: psutil.Process) -> bool:
    """Say whether a process has ended, also where nobody has asked yet how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def asked(pipeline: Pipeline) -> None:
    pipeline.request_stop()


def stopped(pipeline: Pipeline) -> None:
    # It has all the time that it wants.
    pipeline.stop(600.0)


@pytest.mark.parametrize(
    ("made", "end", "kind"),
    [(with_on_frame, stopped, "stage"), (with_on_result, stopped, "stage"), (with_hook, asked, "hook")],
    ids=["on_frame", "on_result", "hook"],
)
def test_the_first_start_is_broken_off(
    made: Callable[[Path], Pipeline], end: Callable[[Pipeline], None], kind: str, tmp_path: Path
) -> None:
    starts, pipeline, refused = sleepy(tmp_path), made(tmp_path), list[str]()

    def start() -> None:
        try:
            pipeline.start()
        except SessionFailed as error:
            refused.append(error.message)

    starting = threading.Thread(target=start, daemon=True)
    starting.start()
    wait_until(lambda: starts() == 1, "the import")
    ending = threading.Thread(target=end, args=(pipeline,), daemon=True)
    ending.start()
    ending.join(PATIENCE_S)
    starting.join(PATIENCE_S)
    assert (starting.is_alive(), ending.is_alive()) == (False, False)
    assert refused == [f"The process of {kind} {CALL} was not ready before the stop."]
    pipeline.stop(0.0)
    assert pipeline.stats().captured == 0


def test_a_start_again_is_broken_off(tmp_path: Path) -> None:
    starts, pipeline = sleepy(tmp_path, "len(starts.read_text()) == 2"), with_on_frame(tmp_path)
    pipeline.start()
    wait_until(lambda: starts() == 2, "the second import")
    pipeline.stop(0.1)
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("before", [True, False], ids=["before_the_start", "meanwhile"])
def test_an_agents_stop_breaks_it_off_and_is_no_failure(before: bool, tmp_path: Path) -> None:
    starts, pipeline, stop, said = sleepy(tmp_path), with_on_frame(tmp_path), StopRequest(), list[bool]()
    if before:
        stop.set()
    starting = threading.Thread(target=lambda: said.append(start_unless_stopped(pipeline, stop)), daemon=True)
    starting.start()
    if not before:
        wait_until(lambda: starts() == 1, "the import")
        stop.set()
    starting.join(PATIENCE_S)
    assert said == [False]


@pytest.mark.parametrize("made", [with_on_frame, with_on_result, with_hook, with_two_hooks])
def test_a_stop_before_the_start_is_remembered(made: Callable[[Path], Pipeline], tmp_path: Path) -> None:
    starts, pipeline = sleepy(tmp_path), made(tmp_path)
    pipeline.request_stop()
    with pytest.raises(SessionFailed, match="before"):
        pipeline.start()
    pipeline.stop(0.0)
    assert (starts(), pipeline.stats().captured) == (0, 0)


def test_a_stop_before_the_start_of_what_is_ready_at_once_is_an_end() -> None:
    pipeline = make(film(), Script(), Sink(), "every_frame")
    pipeline.request_stop()
    assert pipeline.start().wait(PATIENCE_S)
    assert pipeline.stats().captured == 0


def test_a_stop_just_before_a_hooks_thread_begins_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, hook, begin = sleepy(tmp_path), hook_delivery(CALL, HookSettings(folder=tmp_path)), threading.Thread.start

    def after_a_close(thread: threading.Thread) -> None:
        # From here on it is about to start, and does not look any more whether it was closed.
        hook.close(0.0)
        begin(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", after_a_close)
        with pytest.raises(SessionFailed, match="was not ready before the stop"):
            hook.start()
    assert starts() == 0


class Starting:
    """A pipeline that is about to start until it is asked to stop; `meanwhile` is done first."""

    def __init__(self, meanwhile: Callable[[], None], *, waits: bool = True) -> None:
        self.asked: list[int] = []
        self._meanwhile = meanwhile
        self._waits = waits

    def request_stop(self) -> None:
        self.asked.append(threading.get_ident())

    def start(self) -> None:
        self._meanwhile()
        if self._waits:
            wait_until(lambda: bool(self.asked), "the stop")
            raise SessionFailed("stopped")


def no_thread_looks() -> bool:
    return not any(thread.name == "edgesdk-start" for thread in threading.enumerate())


@pytest.mark.parametrize("before", [True, False], ids=["before_the_start", "meanwhile"])
def test_an_agents_stop_is_asked_for_once_and_not_by_whoever_was_interrupted(before: bool) -> None:
    stop = StopRequest()
    if before:
        stop.set()

    def impatiently() -> None:
        for _ in range(3):
            stop.set()

    # As a signal handler does, on the thread that starts.
    starting = Starting(impatiently)
    assert not start_unless_stopped(cast("Any", starting), stop)
    wait_until(no_thread_looks, "its end")
    assert len(starting.asked) == 1
    assert starting.asked != [threading.get_ident()]


def test_nobody_looks_for_a_stop_after_the_start() -> None:
    stop, starting = StopRequest(), Starting(lambda: None, waits=False)
    assert start_unless_stopped(cast("Any", starting), stop)
    wait_until(no_thread_looks, "its end")
    stop.set()
    assert starting.asked == []


def test_a_stop_is_told_within_the_block_and_where_it_came_before() -> None:
    stop, told = StopRequest(), list[str]()
    with stop.telling(lambda: told.append("outer")):
        with stop.telling(lambda: told.append("ended")):
            pass
        assert told == []
        stop.set()
    with stop.telling(lambda: told.append("late")):
        pass
    stop.set()
    assert (told, stop.is_set()) == (["outer", "late"], True)


def test_a_failure_is_one_where_nobody_stops(tmp_path: Path) -> None:
    (tmp_path / "sleepy.py").write_text("")
    with pytest.raises(InputError, match="sleepy has no function"):
        start_unless_stopped(with_on_frame(tmp_path), StopRequest())


def test_a_cancelled_task_does_not_wait_for_it(tmp_path: Path) -> None:
    starts, pipeline = sleepy(tmp_path), with_hook(tmp_path)

    async def enter() -> None:
        async with pipeline:
            raise AssertionError("it started")

    async def cancel() -> None:
        task = asyncio.create_task(enter())
        for _ in range(int(PATIENCE_S / 0.01)):
            if starts():
                break
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_S)

    asyncio.run(cancel())


@pytest.mark.parametrize("place", ["on_frame", "on_result"])
def test_ctrl_c_ends_an_application_that_starts(place: str, tmp_path: Path) -> None:
    starts = sleepy(tmp_path)
    program = (
        "import sys; import edgesdk; from edgesdk_testkit.pipelines import Sink, make\n"
        "from edgesdk_agent.cameras.synthetic import SyntheticCamera; from edgesdk_testkit.slots import Script\n"
        "from pathlib import Path; settings = edgesdk.StageSettings('process', folder=Path(sys.argv[1]))\n"
        "sink, more = Sink(), {}\n"
        f"if {place == 'on_frame'}: more = {{'on_frame': edgesdk.frame_filter({CALL!r}, settings)}}\n"
        f"else: sink = edgesdk.filtered_delivery({CALL!r}, sink, settings)\n"
        "with make(SyntheticCamera(width=32, height=16, frames=1), Script(), sink, **more) as pipeline:\n"
        "    pipeline.wait(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    application = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: starts() == 1, "the import")
        (child,) = psutil.Process(application.pid).children()
        application.send_signal(signal.SIGINT)
        _, said = application.communicate(timeout=PATIENCE_S)
    finally:
        application.kill()
        application.wait()
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    wait_until(lambda: ended(child), "the end of its process")
