"""A step in a process of its own: values cross without pickle, failures come back, nothing is left behind."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk_converters import child
from edgesdk_converters.child import run_step
from edgesdk_converters.child_values import Call, pack, unpack
from edgesdk_converters.step_progress import listening
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.errors import InputError, MissingExtra, StepFailed
from edgesdk_targets.target import Precision

BAD = "edgesdk_testkit.child_functions"


def _left_behind() -> set[str]:
    return {entry.name for entry in Path(tempfile.gettempdir()).glob("edgesdk-step-*")}


def test_values_cross_both_ways() -> None:
    sent = {
        "content": bytes(range(256)) * 10,
        "array": np.arange(6, dtype=np.int64).reshape(2, 3),
        "fold": Fold("rgb", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)),
        "path": Path("relative.onnx"),
        "precision": Precision.FP16,
        "nested": [{"a": (1, 2.5, None, True, "ü")}, ()],
    }
    got = run_step(f"{BAD}:echo", **sent)
    assert np.array_equal(got.pop("array"), sent.pop("array"))
    assert got.pop("path") == Path("relative.onnx").absolute()
    del sent["path"]
    assert got == sent
    assert isinstance(got["nested"][0]["a"], tuple)
    assert got["precision"] is Precision.FP16


def test_the_child_makes_what_cannot_be_sent() -> None:
    inner = Call(f"{BAD}:doubled", {"array": np.array([1, 2])})
    assert run_step(f"{BAD}:doubled", array=inner).tolist() == [4, 8]


def test_a_live_object_is_refused_before_anything_starts() -> None:
    with pytest.raises(TypeError, match="Call that makes it"):
        run_step(f"{BAD}:echo", module=object())


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=8,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_json)
def test_packing_loses_nothing(tmp_path: Path, value: object) -> None:
    assert unpack(json.loads(json.dumps(pack(value, tmp_path))), tmp_path) == value


@pytest.mark.parametrize(
    "form",
    [
        {"value": "pathlib:Path", "kwargs": {"dict": []}},
        {"value": "edgesdk_targets.target:Precision", "kwargs": {"dict": []}},
        {"choice": "signal:Signals", "name": "SIGINT"},
        {"pickle": "x"},
        {},
    ],
)
def test_only_our_own_forms_are_unpacked(tmp_path: Path, form: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no value|not a packed"):
        unpack(form, tmp_path)


def test_arrays_of_objects_do_not_cross(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        pack(np.array([object()]), tmp_path)


def test_reports_reach_the_listener_and_noise_the_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    with caplog.at_level(logging.DEBUG, "edgesdk_converters"), listening(heard.append):
        assert run_step(f"{BAD}:noisy") == "done"
    assert heard == ["first half", "second half"]
    assert capfd.readouterr() == ("", "")
    assert {"printed by Python", "printed natively"} <= {record.getMessage() for record in caplog.records}


def test_our_own_error_comes_back_as_itself() -> None:
    with pytest.raises(InputError) as caught:
        run_step(f"{BAD}:refuse")
    assert (caught.value.message, caught.value.hint) == ("the model is wrong", "mend the model")
    assert "child_functions.py" in str(caught.value.__cause__)  # the child's traceback, for --debug


def test_a_missing_package_comes_back_as_itself() -> None:
    with pytest.raises(MissingExtra) as caught:
        run_step(f"{BAD}:miss")
    assert (caught.value.package, caught.value.extra) == ("openvino", "openvino")


def test_any_other_error_becomes_step_failed() -> None:
    with pytest.raises(StepFailed, match=r"child_functions: KeyError: 'unexpected'"):
        run_step(f"{BAD}:stumble")


@pytest.mark.parametrize(
    ("name", "said"), [("SIGKILL", "memory ran out"), ("SIGSEGV", "SIGSEGV"), ("SIGABRT", "SIGABRT")]
)
def test_a_child_that_is_killed_is_told_by_its_signal(name: str, said: str) -> None:
    with pytest.raises(StepFailed, match=said) as caught:
        run_step(f"{BAD}:die", name=name)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("run_out_of_memory", {}), ("leave", {"code": 137})],  # the latter is what a container's shell makes of a kill
)
def test_a_child_that_runs_out_of_memory_is_told_as_that(function: str, arguments: dict[str, int]) -> None:
    with pytest.raises(StepFailed, match=r"ran out") as caught:
        run_step(f"{BAD}:{function}", **arguments)
    assert "memory" in caught.value.message
    assert "more memory" in caught.value.hint


def test_a_child_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(child._LIMITS_S, "child_functions", 1.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StepFailed, match="child_functions: it did not end within 1 s, and was stopped") as caught:
        run_step(f"{BAD}:hang")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_ends_without_a_result() -> None:
    with pytest.raises(StepFailed, match="code 7 and no result"):
        run_step(f"{BAD}:leave", code=7)


def test_the_childs_temporary_files_go_with_it() -> None:
    before = _left_behind()
    told = run_step(f"{BAD}:where")
    assert told["cwd"] == str(Path.cwd())
    assert Path(told["temp"]).name.startswith("edgesdk-step-")
    assert not Path(told["temp"]).exists()
    assert set(sys.path) <= {*told["path"], ""}
    with pytest.raises(StepFailed):
        run_step(f"{BAD}:die", name="SIGKILL")
    assert _left_behind() == before


# The parent has to be a process of its own: it is interrupted, or killed.
_PARENT = """
import signal, sys
from pathlib import Path
from edgesdk_converters import child
from edgesdk_converters.child import run_step
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background a shell has it ignored
try:
    run_step("edgesdk_testkit.child_functions:wait", started=Path(sys.argv[1]))
except KeyboardInterrupt:
    sys.exit(130)
"""


@contextmanager
def _parent(started: Path, temp: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a parent and wait until its child runs; give it and the child's process id. Neither outlives the body."""
    temp.mkdir()
    os.mkfifo(started)
    environment = {**os.environ, "TMPDIR": str(temp), "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(started)], env=environment)
    try:
        yield parent, int(started.read_text())
    finally:
        parent.kill()  # its child ends with it
        parent.wait()


def _wait_for_end(process: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 60)[0], "the child outlived its parent"
    finally:
        os.close(handle)


def test_ctrl_c_ends_the_child_and_cleans_up(tmp_path: Path) -> None:
    with _parent(tmp_path / "started", tmp_path / "temp") as (parent, child):
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) == 130
        _wait_for_end(child)
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    with _parent(tmp_path / "started", tmp_path / "temp") as (parent, child):
        parent.kill()
        parent.wait(60)
        _wait_for_end(child)
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_namesake_in_the_working_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json.py", "edgesdk_converters.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert run_step(f"{BAD}:echo", a=1) == {"a": 1}
