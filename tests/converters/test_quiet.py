"""A framework's noise stays off the terminal, and is kept for --debug."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import warnings

import pytest

from edgesdk_converters.quiet import quiet


def _make_noise() -> None:
    print("python says")
    print("python errs", file=sys.stderr)
    os.write(1, b"native says\n")
    os.write(2, b"native errs\n")
    warnings.warn("a framework warns", FutureWarning, stacklevel=1)


def test_everything_printed_becomes_debug_lines(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "edgesdk_converters.a_step"), quiet("a_step"):
        _make_noise()
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""
    lines = {record.getMessage() for record in caplog.records if record.name == "edgesdk_converters.a_step"}
    expected = {"python says", "python errs", "native says", "native errs", "FutureWarning: a framework warns"}
    assert lines >= expected
    # Negative control: without it the same noise is heard.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _make_noise()
    assert "native says" in capfd.readouterr().out


def test_the_terminal_is_given_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(ValueError, match="inside"), quiet("a_step"):
        raise ValueError("inside")
    assert (sys.stdout, sys.stderr) == before
    print("heard again")
    os.write(1, b"and natively\n")
    assert capfd.readouterr().out == "heard again\nand natively\n"


def test_noise_before_an_error_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        os.write(2, b"the reason\n")
        raise ValueError("failed")

    with (
        caplog.at_level(logging.DEBUG, "edgesdk_converters"),
        pytest.raises(ValueError, match="failed"),
        quiet("a_step"),
    ):
        fail()
    assert "the reason" in caplog.text


def test_a_step_inside_a_step(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet("outer"):
        with quiet("inner"):
            print("one")
        print("two")
    assert capfd.readouterr().out == ""


# A process of its own: here pytest holds the streams, there they are the terminal's as in the command line.
_WITH_A_BAR = """
import os, sys, threading
from edgesdk_converters.quiet import quiet
ready, done = threading.Event(), threading.Event()
def bar():
    ready.wait()
    print("bar moves", file=sys.stderr)
    done.set()
threading.Thread(target=bar).start()
with quiet("a_step"):
    print("noise")
    print("noise", file=sys.stderr)
    os.write(2, b"noise")
    ready.set()
    done.wait()
print('{"json": true}')
"""


def test_a_progress_bar_in_another_thread_is_still_seen() -> None:
    done = subprocess.run([sys.executable, "-c", _WITH_A_BAR], capture_output=True, text=True, check=True)
    assert done.stdout == '{"json": true}\n'
    assert done.stderr == "bar moves\n"


def test_two_threads_do_not_take_each_others_descriptors(capfd: pytest.CaptureFixture[str]) -> None:
    def noisy() -> None:
        for _ in range(20):
            with quiet("a_step"):
                os.write(1, b"noise\n")

    threads = [threading.Thread(target=noisy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(1, b"heard\n")
    assert capfd.readouterr().out == "heard\n"
