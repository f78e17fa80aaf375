"""`edgesdk`: the one command. A command's module is imported when it is called, so that `--help` is instant."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from edgesdk_targets.errors import (
    EdgeError,
    GateFailed,
    InputError,
    ParityError,
    SessionFailed,
    WrongTarget,
)

# The exit code after Ctrl-C, as a shell has it.
_STOPPED = 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class Command:
    """One line of `edgesdk --help`.

    Attributes:
        where: `module:attribute` of a function, or of a typer application for a group of commands.
    """

    where: str
    help: str


COMMANDS: dict[str, Command] = {
    "convert": Command(
        "edgesdk.cli.convert:convert", "Turn a trained model into one bundle for one or several targets."
    ),
    "compress": Command(
        "edgesdk.cli.compress:compress", "Make a trained model smaller by a recipe's passes, each judged."
    ),
    "card": Command("edgesdk.cli.card:app", "Draft the card that says what a model is."),
    "targets": Command("edgesdk.cli.targets:targets", "List the devices that a model can be converted for."),
    "bundle": Command("edgesdk.cli.bundle:app", "Inspect, verify, sign, unpack or compare bundles; keep the keys."),
    "evaluate": Command(
        "edgesdk.cli.evaluate:evaluate", "Measure a bundle's accuracy on labelled data, or judge it against another."
    ),
    "verify": Command(
        "edgesdk.cli.verify:verify", "Prove on this device that a bundle gives the answers it was made with."
    ),
    "check": Command("edgesdk.cli.check:check", "Say what a model needs and whether a device can have it."),
    "benchmark": Command("edgesdk.cli.benchmark:benchmark", "Measure how fast a bundle is here, and what it takes."),
    "tune": Command("edgesdk.cli.tune:tune", "Find which variant, threads and streams are best on this machine."),
    "compare": Command("edgesdk.cli.compare:compare", "Put bundles side by side, and say which to choose."),
    "search": Command(
        "edgesdk.cli.search:search", "Search architecture, training and deployment for what is best within limits."
    ),
    "data": Command("edgesdk.cli.data:app", "Check, clean, compress, divide and choose pictures before training."),
    "train": Command(
        "edgesdk.cli.train:train", "Train the model of a card on labelled pictures; goes on where it was stopped."
    ),
    "run": Command("edgesdk.cli.run:run", "Run a bundle on a camera, video or folder and draw what it finds."),
    "agent": Command("edgesdk.cli.agent:app", "Run the device agent: camera → model → MQTT."),
    "deploy": Command("edgesdk.cli.deploy:deploy", "Bring a signed bundle to one device by ssh, on trial there."),
    "camera": Command("edgesdk.cli.camera:app", "Say what a camera delivers, and find the cameras of this network."),
    "fleet": Command("edgesdk.cli.fleet:app", "Start a broker, watch every device live, record what they report."),
    "sim": Command("edgesdk.cli.sim:sim", "Simulate a fleet of devices that speak as real ones do, with faults."),
    "soak": Command(
        "edgesdk.cli.soak:soak", "Run the agent for hours, break things on purpose, and judge what it did."
    ),
    "config": Command("edgesdk.cli.config:app", "Show or check the agent's configuration."),
    "doctor": Command(
        "edgesdk.cli.doctor:app", "Say what is installed and what to mend; why an application's answers differ."
    ),
}


class LazyGroup(TyperGroup):
    """A group that knows its commands' names and help, and imports one when it is called."""

    _listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  (the base class's)
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  (the base class's)
        if cmd_name not in COMMANDS:
            return None
        # Help alone needs no command's module, only its line.
        if self._listing:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name].help)
        return _load(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise typer.BadParameter(f"there is no command '{args[0]}'.{meant} See `edgesdk --help`.", ctx=ctx)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    name="edgesdk",
    help="From a trained vision model to a monitored fleet of edge devices.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from edgesdk import __version__

        typer.echo(f"edgesdk {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: bool = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=_print_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and what the frameworks say."),
) -> None:
    if debug:
        # The agent's log, which hides secrets, and of which there is one a process, whoever starts it.
        from edgesdk_agent.logs.start import start_logs

        start_logs(logging.DEBUG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code: 0 done, 1 failure, 2 usage, 3 gate, 4 cannot run here, 130 stopped."""
    raise SystemExit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    debug = "--debug" in arguments
    if debug:
        # Anywhere on the line, as people add it to a command that just failed.
        arguments = ["--debug", *(a for a in arguments if a != "--debug")]
    command = typer.main.get_command(app)
    with _stopped_by_signals() as stop:
        try:
            command.main(arguments, prog_name="edgesdk")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except KeyboardInterrupt:
            code = _STOPPED
        except BrokenPipeError:
            # The reader of our output went away (`| head`); Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except Exception as error:  # the program's top: a fault of our own is told like any other, without a traceback
            # Where a person stopped it, what the frameworks made of that is no error to tell.
            if stop.by is None:
                if debug:
                    raise
                _show(_told(error))
            code = exit_code(_told(error))
    if code and stop.by is not None:
        code = 128 + stop.by
    if code == _STOPPED:
        # Python remembers a KeyboardInterrupt that came out of any exec() of text, as dataclasses are made with, and would
        # end by the signal instead of the code; the next exec() makes it forget.
        exec("")  # noqa: S102
        with suppress(OSError):  # the terminal may be closed
            sys.stderr.write("Stopped.\n")
    return code


@dataclass(slots=True)
class _Stop:
    """The signal that asked for the end; None while nothing did."""

    by: int | None = None


@contextmanager
def _stopped_by_signals() -> Iterator[_Stop]:
    """Let Ctrl-C, SIGTERM and SIGHUP end the command in an orderly way, so that temporary folders are removed.

    The signal is noted beside the exception, because a framework that is interrupted while it imports its parts may
    raise something else in its place. Signals that are ignored (`nohup`, a job in the background) or taken by an
    application stay as they are; the agent and the fleet's commands take them over while they run.
    """
    stop = _Stop()

    def end(number: int, _frame: object) -> None:
        stop.by = number
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    previous: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        usual = (signal.default_int_handler, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (handler := signal.getsignal(number)) in usual:
                previous[number] = handler
                signal.signal(number, end)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _told(error: Exception) -> EdgeError:
    if isinstance(error, EdgeError):
        return error
    what = f"Unexpected {type(error).__name__}: {error}"
    return EdgeError(what, hint="This is a fault of edgesdk. Run it again with --debug and report what it prints.")


def exit_code(error: EdgeError) -> int:
    """Map an error to its exit code."""
    if isinstance(error, (GateFailed, ParityError)):
        return 3
    if isinstance(error, (WrongTarget, SessionFailed)):
        return 4
    return 2 if isinstance(error, InputError) else 1


def _show(error: EdgeError) -> None:
    from edgesdk.cli.output import errors_console, plain_lines

    err = errors_console()
    err.print(f"error: {plain_lines(error.message)}", style="red", highlight=False, markup=False, soft_wrap=True)
    if error.hint:
        err.print(f"  → {plain_lines(error.hint)}", highlight=False, markup=False, soft_wrap=True)


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name].where.partition(":")
    found: Any = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        group.name, group.help = name, COMMANDS[name].help
        return group
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name=name, help=(found.__doc__ or COMMANDS[name].help))(found)
    return typer.main.get_command(single)
