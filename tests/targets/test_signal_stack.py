"""A signal is heard after models of OpenVINO were closed, in whichever order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from session_contract import SessionContract

from edgesdk_targets.runtimes.openvino import open_session
from edgesdk_targets.runtimes.signal_stack import signal_stack
from edgesdk_targets.session import Load, Session
from edgesdk_targets.target import Runtime
from edgesdk_testkit.tiny_models import CNN

pytest.importorskip("openvino")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack(2) is looked at as Linux has it")


class Sessions(SessionContract):
    """Makes what a session is opened from."""

    runtime = Runtime.OPENVINO
    __test__ = False

    def open(self, load: Load) -> Session:
        return open_session(load)


def told() -> tuple[int | None, int, int]:
    found = signal_stack()
    return found.address, found.flags, found.size


def test_sessions_leave_the_thread_its_stack() -> None:
    before, sessions = told(), Sessions()
    first, second = (sessions.open(sessions.load(CNN)) for _ in range(2))
    assert told() == before
    first.close()
    second.close()
    assert told() == before


TAKEN_AND_GIVEN_BACK = """
import openvino
from edgesdk_targets.runtimes.signal_stack import signal_stack, signal_stack_kept

def told():
    found = signal_stack()
    return found.address, found.flags, found.size

before = told()
with signal_stack_kept():
    core = openvino.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")
    assert told() != before, "OpenVINO takes no stack any more: signal_stack.py can go"
assert told() == before
"""


def test_what_is_taken_in_the_body_is_given_back() -> None:
    """In a process of its own: where a test before has the plugin loaded still, nothing is taken anew."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", TAKEN_AND_GIVEN_BACK], env=environment, check=True, timeout=120)


# A stack of Python's own first, as with faulthandler, which pytest and the agent switch on.
CLOSED_IN_ORDER = """
import faulthandler, signal, sys
faulthandler.enable()
sys.path += {path!r}
from test_signal_stack import CNN, Sessions

def ours():
    sessions = Sessions()
    return sessions.open(sessions.load(CNN))

def plain():
    import openvino
    core = openvino.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")
    return core

opened = [{which}(), {which}()]
while opened:
    one = opened.pop(0)
    getattr(one, "close", str)()
    del one
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.parametrize(("which", "status", "said"), [("ours", 0, "heard\n"), ("plain", -signal.SIGSEGV, "")])
def test_a_signal_is_heard_afterwards_and_without_that_it_is_the_end(which: str, status: int, said: str) -> None:
    program = CLOSED_IN_ORDER.format(path=[str(Path(__file__).parent)], which=which)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (status, said), done.stderr
