"""The command line's frame: help, version, unknown commands, exit codes by error, tracebacks on demand."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from edgesdk import __version__
from edgesdk.cli import app as app_module
from edgesdk.cli.app import COMMANDS, Command, exit_code, run
from edgesdk.cli.output import note_choice
from edgesdk_agent.logs import start
from edgesdk_targets import errors
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.target import Runtime

if TYPE_CHECKING:
    from edgesdk_targets.model import Model


@pytest.fixture(autouse=True)
def keeps_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`--debug` starts the log of the process; give it back as it was."""
    monkeypatch.setattr(start, "_started", None)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that makes the command `fail` raise an error."""

    def command(error: BaseException) -> None:
        def fail() -> None:
            """Fail."""
            raise error

        monkeypatch.setattr(app_module, "fail_for_the_test", fail, raising=False)
        monkeypatch.setitem(COMMANDS, "fail", Command(f"{app_module.__name__}:fail_for_the_test", "Fail."))

    return command


def test_help_lists_every_command_with_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert any(f" {name} " in line and command.help in line for line in out.splitlines()), name


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    captured = capsys.readouterr()
    assert "convert" in captured.out + captured.err


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, flag]) == 0
    assert f"edgesdk {command}" in capsys.readouterr().out


def test_the_groups_offer_no_options_of_the_root(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bundle", "--help"]) == 0
    assert "--install-completion" not in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"edgesdk {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("converd", "Did you mean 'convert'?"),
        ("bundel", "Did you mean 'bundle'?"),
        ("flet", "Did you mean 'fleet'?"),
        ("xyz", None),
    ],
)
def test_an_unknown_command_is_a_usage_error_with_a_suggestion(
    typed: str, meant: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run([typed]) == 2
    err = capsys.readouterr().err
    assert f"there is no command '{typed}'" in err
    assert (meant in err) if meant else ("Did you mean" not in err)


CODES = {
    errors.EdgeError: 1,
    errors.InputError: 2,
    errors.UnknownTarget: 2,
    errors.ContentChanged: 2,
    errors.ConversionError: 1,
    errors.StepFailed: 1,
    errors.ParityError: 3,
    errors.GateFailed: 3,
    errors.BundleError: 1,
    errors.BadBundle: 1,
    errors.BadHash: 1,
    errors.BadSignature: 1,
    errors.Unsigned: 1,
    errors.UnknownKey: 1,
    errors.RevokedKey: 1,
    errors.UnknownSchema: 1,
    errors.UnsafePath: 1,
    errors.TooLarge: 1,
    errors.WrongTarget: 4,
    errors.Downgrade: 1,
    errors.DeviceError: 1,
    errors.CameraLost: 1,
    errors.SessionFailed: 4,
    errors.NoSpace: 1,
    errors.LinkError: 1,
    errors.NotConnected: 1,
    errors.FetchFailed: 1,
}


def _error(kind: type[EdgeError]) -> EdgeError:
    return kind("It is wrong.", hint="Mend it.")


def _families(kind: type[EdgeError]) -> set[type[EdgeError]]:
    return {kind}.union(*(_families(child) for child in kind.__subclasses__()))


def test_every_error_of_the_tree_has_its_code_here() -> None:
    declared = {kind for kind in _families(EdgeError) if kind.__module__ == errors.__name__}
    assert declared == {*CODES, errors.MissingExtra, errors.OtherNode}
    assert exit_code(errors.OtherNode("It is another's.", says="cam2")) == exit_code(errors.InputError("It is wrong."))


@pytest.mark.parametrize("kind", CODES)
def test_an_error_is_told_with_its_hint_and_its_code(
    kind: type[EdgeError], failing: object, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(_error(kind))
    assert run(["fail"]) == exit_code(_error(kind)) == CODES[kind]
    captured = capsys.readouterr()
    assert captured.err == "error: It is wrong.\n  → Mend it.\n"
    assert captured.out == ""


def test_an_error_that_quotes_a_file_cannot_rewrite_the_terminal(
    failing: object, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(errors.InputError("a: \x1b[2Jwrong.\nb: wrong.", hint="Mend \x1b]0;it\x07."))
    assert run(["fail"]) == 2
    assert capsys.readouterr().err == "error: a: �[2Jwrong.\nb: wrong.\n  → Mend �]0;it�.\n"


def test_a_missing_package_is_told_with_its_pip_line(failing: object, capsys: pytest.CaptureFixture[str]) -> None:
    failing(errors.MissingExtra("openvino", "openvino"))
    assert run(["fail"]) == 1
    assert "pip install 'edgesdk[openvino]'" in capsys.readouterr().err


def test_a_fault_of_our_own_is_told_without_a_traceback(failing: object, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ZeroDivisionError("division by zero"))
    assert run(["fail"]) == 1
    err = capsys.readouterr().err
    assert "Unexpected ZeroDivisionError: division by zero" in err
    assert "--debug" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
@pytest.mark.parametrize("error", [_error(errors.InputError), KeyError("x")])
def test_debug_raises_wherever_it_stands(arguments: list[str], error: Exception, failing: object) -> None:
    failing(error)
    with pytest.raises(type(error)):
        run(arguments)


def test_ctrl_c_has_the_shells_code(failing: object, capsys: pytest.CaptureFixture[str]) -> None:
    failing(KeyboardInterrupt())
    assert run(["fail"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_signal_is_told_as_such_whatever_becomes_of_it(number: signal.Signals, code: int, swallowed: bool) -> None:
    """A framework that is interrupted in the middle of its imports raises something of its own."""
    # A process of its own: in the one that runs the tests, a library may have taken the signals.
    program = f"""
import signal
from edgesdk.cli import app
from edgesdk_targets.errors import MissingExtra
number, swallowed, cleaned = signal.Signals({number.value}), {swallowed}, []
signal.signal(signal.SIGINT, signal.default_int_handler)
for other in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(other, signal.SIG_DFL)
def fail() -> None:
    try:
        signal.raise_signal(number)
    except BaseException:
        if not swallowed:
            raise
        raise MissingExtra("openvino", "openvino") from None
    finally:
        cleaned.append(True)
app.fail_for_the_test = fail
app.COMMANDS["fail"] = app.Command("edgesdk.cli.app:fail_for_the_test", "Fail.")
before = signal.getsignal(number)
print(app.run(["fail"]), cleaned, signal.getsignal(number) == before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == f"{code} [True] True\n", done.stderr
    assert done.stderr == ("Stopped.\n" if code == 130 else "")


def test_ctrl_c_inside_an_exec_is_the_code_and_no_death_by_signal(tmp_path: Path) -> None:
    program = """
import signal
from edgesdk.cli import app
def fail(): exec("signal.raise_signal(signal.SIGINT)", {"signal": signal})
app.fail = fail
app.COMMANDS["fail"] = app.Command("edgesdk.cli.app:fail", "Fail.")
app.main(["fail"])
"""
    (tmp_path / "interrupted.py").write_text(program)
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")


def test_a_signal_that_was_handled_is_no_failure() -> None:
    """A command that stops in its own way, as the agent does, keeps its code."""
    program = """
import signal
from edgesdk.cli import app
def fail():
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, previous)
app.fail_for_the_test = fail
app.COMMANDS["fail"] = app.Command("edgesdk.cli.app:fail_for_the_test", "Fail.")
print(app.run(["fail"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_an_ignored_signal_stays_ignored() -> None:
    """`nohup` and a shell's background jobs ignore them."""
    program = """
import signal
from edgesdk.cli import app
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with app._stopped_by_signals() as stop:
    signal.raise_signal(signal.SIGHUP)
print(stop.by)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_variants_that_were_not_asked_for_are_not_explained(capsys: pytest.CaptureFixture[str]) -> None:
    rejected = (("one", "litert is not installed"), ("other", "not the variant asked for (mine)"))
    choice = SimpleNamespace(rejected=rejected, not_asked_for=frozenset({"other"}))
    model = SimpleNamespace(variant=SimpleNamespace(id="mine"), runtime=Runtime.ONNXRUNTIME, choice=choice)
    note_choice(cast("Model", model))
    assert capsys.readouterr().err == "mine, run by onnxruntime\n  not one: litert is not installed\n"


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgesdk", *arguments], capture_output=True, text=True, check=False)


def test_debug_shows_the_traceback_of_a_real_process() -> None:
    plain = _process("bundle", "inspect", "absent.edgebundle")
    assert plain.returncode == 1
    assert "Traceback" not in plain.stderr
    shown = _process("bundle", "inspect", "absent.edgebundle", "--debug")
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_the_agents_debug_is_passed_on() -> None:
    arguments = ("agent", "run", "--bundle", "absent.edgebundle", "--source", "synthetic:", "--no-mqtt")
    plain = _process(*arguments)
    assert "Traceback" not in plain.stderr
    assert "absent.edgebundle" in plain.stderr
    assert "Traceback" in _process(*arguments, "--debug").stderr


@pytest.mark.parametrize("options", [(), ("--debug",), ("--debug", "--log-format", "json")])
def test_a_line_of_the_log_is_written_once_and_hides_secrets(options: tuple[str, ...]) -> None:
    # Before it finds that the bundle is absent, the agent warns of a password that everybody on the machine can read.
    source = ("--source", "rtsp://viewer:geheim@127.0.0.1:9/x")
    told = _process("agent", "run", "--bundle", "absent.edgebundle", *source, "--no-mqtt", *options).stderr
    assert told.count("in the list of processes") == 1, told
    assert "geheim" not in told


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m edgesdk targets --json | head -c 10",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
