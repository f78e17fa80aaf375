"""`edgesdk-agent`: the device's own entry point. It reads the configuration, runs the agent, and stops it cleanly."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from edgesdk_agent.enrol import commands as enrolment
from edgesdk_agent.logs.start import start_logs
from edgesdk_agent.logs.tracebacks import redact_tracebacks
from edgesdk_agent.service import commands as service
from edgesdk_agent.update import commands as updates
from edgesdk_targets.errors import EdgeError, InputError, SessionFailed, WrongTarget

if TYPE_CHECKING:
    from edgesdk_agent.agent import Agent
    from edgesdk_agent.steering.beginning import Beginning
    from edgesdk_agent.timeline.timeline import Timeline


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `edgesdk-agent` and exit."""
    raise SystemExit(run(arguments))


def run(arguments: Sequence[str] | None = None, *, prog: str = "edgesdk-agent") -> int:
    """Run the command line and return the exit code: 0, 1 failure, 2 usage, 3 not verified, 4 cannot run here."""
    options = _parser(prog).parse_args(arguments)
    level = logging.DEBUG if options.debug else logging.WARNING if options.quiet else logging.INFO
    start_logs(level, getattr(options, "log_format", "text"))
    redact_tracebacks()
    try:
        if options.command == "verify":
            return _verify(options)
        if options.command in service.NAMES:
            return service.run(options)
        if options.command == enrolment.NAME:
            return enrolment.run(options)
        if options.command == updates.NAME:
            return updates.run(options)
        summary = _run_agent(options)
        sys.stdout.write(_told(summary, as_json=options.json) + "\n")
        sys.stdout.flush()
    except KeyboardInterrupt:
        # Before the agent took the signal over: there is nothing to stop yet.
        return 130
    except EdgeError as error:
        if options.debug:
            raise
        sys.stderr.write(f"error: {error.message}\n" + (f"  → {error.hint}\n" if error.hint else ""))
        return _exit_code(error)
    except OSError as error:
        if options.debug:
            raise
        sys.stderr.write(f"error: {error.strerror or error}\n")
        # Python would try to write the rest once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _run_agent(options: argparse.Namespace) -> dict[str, Any]:
    from edgesdk_agent.quick_start import quick_imports

    with quick_imports():
        from edgesdk_agent.config.secrets import hide_secrets, warn_of_arguments
        from edgesdk_agent.config.source import ConfigSource
        from edgesdk_agent.steering.beginning import begin
        from edgesdk_agent.steering.restart import wait_for_restart
        from edgesdk_targets.runtimes.openvino_converter import leave_out_converter

    leave_out_converter()
    beginning = begin(ConfigSource(options.config, _flags(options), options.no_mqtt))
    hide_secrets(beginning.loaded.config)
    warn_of_arguments([*(options.source or ()), options.broker or ""])
    stop = threading.Event()
    asked: set[int] = set()
    running: list[Agent] = []

    def on_signal(number: int, _frame: object) -> None:
        # A terminal's Ctrl-C reaches everybody in front of it, and whoever started the agent may then end it by SIGTERM:
        # that is one wish told twice. The same signal again is impatience, and waits for no hook, driver or runtime.
        if number in asked:
            for agent in running:
                agent.leave()
            os._exit(128 + number)
        asked.add(number)
        stop.set()

    def on_hangup(_number: int, _frame: object) -> None:
        for agent in running:
            agent.reload()

    signals = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    # A terminal that is closed ends what runs in it; without one SIGHUP means: read the configuration again.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL and not sys.stderr.isatty():
        signals[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_hangup)
    try:
        summary, again = _run_once(beginning, options, stop, running)
        again = again and wait_for_restart(beginning, stop)
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
    if again:
        _restart()
    return summary


def _run_once(
    beginning: Beginning, options: argparse.Namespace, stop: threading.Event, running: list[Agent]
) -> tuple[dict[str, Any], bool]:
    """Run an agent, noted in `running` for signals, and return its summary and whether another run is wanted."""
    from edgesdk_agent.quick_start import ModelLoading, quick_imports
    from edgesdk_agent.steering.beginning import take_back_failed

    config = beginning.loaded.config
    with _recorded(options.profile, beginning.runs) as profile, ModelLoading(config) as loading, ExitStack() as early:
        try:
            with quick_imports():
                from edgesdk_agent.pipeline_settings import apply_pipeline_settings

                loading.await_library()
                apply_pipeline_settings()
                from edgesdk_agent.early_cameras import early_cameras

                cameras = early_cameras(config.cameras, early)
                # All that is needed next is imported while the model loads and the cameras answer.
                from edgesdk_agent.agent import Agent
            agent = Agent(
                beginning, version=_version(), model=loading.handed_to, cameras=cameras, mqtt=not options.no_mqtt,
                profile=profile,
            )  # fmt: skip
            running.append(agent)
            return agent.run(stop, options.duration), agent.restart_wanted
        except EdgeError as error:
            from edgesdk_agent.agent_updates import tell_launcher_of_damage

            tell_launcher_of_damage()
            # Settings from afar that keep the agent from starting must not keep it from being reached.
            restart_wanted = any(agent.restart_wanted for agent in running)
            if not take_back_failed(beginning.file, error.message) and not restart_wanted:
                raise
            sys.stderr.write(f"error: {error.message}\n")
            return {}, True


def _recorded(path: str | None, runs_before: int) -> AbstractContextManager[Timeline | None]:
    if path is None:
        return nullcontext()
    from edgesdk_agent.timeline.recording import recorded

    return recorded(Path(path), runs_before)


def _restart() -> NoReturn:
    from edgesdk_agent.restart_self import restart_self

    restart_self()


def _told(summary: dict[str, Any], *, as_json: bool) -> str:
    from edgesdk_agent.summary import in_words

    return json.dumps(summary, indent=2) if as_json else in_words(summary)


def _verify(options: argparse.Namespace) -> int:
    from edgesdk_agent.verify import in_words, verify_bundle

    found = verify_bundle(
        Path(options.bundle),
        target=options.target,
        variant=options.variant,
        every=options.all,
        threads=options.threads or 0,
    )
    sys.stdout.write((json.dumps(found, indent=2) if options.json else in_words(found)) + "\n")
    sys.stdout.flush()
    return {"pass": 0, "fail": 3}.get(found["verdict"], 4)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="The edgesdk device agent: camera → model → MQTT.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "run",
        help="run until stopped",
        description="Run until Ctrl-C, SIGTERM, the end of every source, or --duration. Flags win over EDGESDK_… "
        "variables, which win over the file.",
    )
    one.add_argument("--config", metavar="FILE", help="edgesdk.yaml")
    one.add_argument("--bundle", metavar="BUNDLE", help="the model to run")
    one.add_argument(
        "--source", action="append", metavar="SOURCE", help="a camera: file, folder, rtsp://…, http://…, 0, synthetic:"
    )
    one.add_argument("--mode", choices=("auto", "freshest", "every_frame"), help="for the cameras of --source")
    one.add_argument("--fps", type=float, help="for the cameras of --source: rate of what has none of its own")
    one.add_argument(
        "--live", action="store_true", default=None, help="for the cameras of --source: play a file as if live"
    )
    one.add_argument(
        "--loop", action="store_true", default=None, help="for the cameras of --source: begin again at the end"
    )
    one.add_argument("--name", help="this device's name")
    one.add_argument("--broker", metavar="URL", help="mqtt://host:1883 or mqtts://host:8883")
    one.add_argument(
        "--metered",
        action="store_true",
        default=None,
        help="every byte costs: hold outbox.metered_bytes_per_day, or 16 MB a day; needs an outbox.path",
    )
    one.add_argument("--no-mqtt", action="store_true", help="work without a broker")
    one.add_argument(
        "--preview",
        nargs="?",
        const="127.0.0.1:8090",
        metavar="HOST:PORT",
        help="serve a page with the live picture, for whoever has the token printed at the start; 127.0.0.1:8090 unless given",
    )
    one.add_argument("--telemetry-interval", type=float, metavar="S", help="seconds between two samples")
    one.add_argument("--profile", metavar="FILE", help="write where each frame's time went (.json, for Perfetto)")
    one.add_argument("--duration", type=_seconds, metavar="S", help="stop so many seconds after the cameras are read")
    check = commands.add_parser(
        "verify",
        help="check a bundle against its golden set",
        description="Run the pictures that a bundle carries and compare with the answers of when it was built. "
        "Ends with 0, 3 if an answer differs, 4 if it cannot run here.",
    )
    check.add_argument("bundle", metavar="BUNDLE")
    check.add_argument("--all", action="store_true", help="every variant that runs here, not only the agent's choice")
    service.add_parsers(commands)
    enrolment.add_parser(commands)
    updates.add_parser(commands)
    for command in (one, check):
        command.add_argument("--target", help="take this target's variant")
        command.add_argument("--variant", help="take this variant")
        command.add_argument("--threads", type=int, help="threads of one inference")
        command.add_argument("--json", action="store_true", help="print one JSON document at the end")
        command.add_argument("--quiet", action="store_true", help="log warnings only")
        command.add_argument("--debug", action="store_true", help="log everything; show tracebacks")
        command.add_argument(
            "--log-format",
            choices=("text", "json"),
            default="text",
            help="the log on stderr; json is one object a line",
        )
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"edgesdk {_version()}\n")
        parser.exit()


def _flags(options: argparse.Namespace) -> dict[str, object]:
    """Return the flags by the configuration's dotted paths; None is not given."""
    per_camera = {"mode": options.mode, "fps": options.fps, "live": options.live, "loop": options.loop}
    if options.source is None and any(value is not None for value in per_camera.values()):
        raise InputError("--mode, --fps, --live and --loop go with --source.", hint="Set them per camera in the file.")
    cameras = None
    if options.source is not None:
        given = {name: value for name, value in per_camera.items() if value is not None}
        names = ["camera"] if len(options.source) == 1 else [f"camera{i}" for i in range(1, len(options.source) + 1)]
        cameras = [{"name": n, "source": s, **given} for n, s in zip(names, options.source, strict=True)]
    return {
        "bundle": os.path.abspath(options.bundle) if options.bundle else None,  # noqa: PTH100  (resolves no link)
        "cameras": cameras,
        "target": options.target,
        "variant": options.variant,
        "pipeline.threads": options.threads,
        "device.name": options.name,
        "mqtt.url": options.broker,
        "telemetry.interval_s": options.telemetry_interval,
        "preview.listen": options.preview,
        "outbox.metered": options.metered,
    }


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return value


def _exit_code(error: EdgeError) -> int:
    if isinstance(error, (WrongTarget, SessionFailed)):
        return 4
    return 2 if isinstance(error, InputError) else 1


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("edgesdk")
    except metadata.PackageNotFoundError:
        return "0+unknown"


if __name__ == "__main__":
    main()
