"""What can be said on the agent's command line, and what of it belongs to the configuration."""

from __future__ import annotations

import argparse
import os
import sys

from edgesdk_agent.enrol import commands as enrolment
from edgesdk_agent.service import commands as service
from edgesdk_agent.update import commands as updates
from edgesdk_targets.errors import InputError


def parser_for(prog: str) -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Args:
        prog: what the program is called in its help.
    """
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
        sys.stdout.write(f"edgesdk {installed_version()}\n")
        parser.exit()


def flags_of(options: argparse.Namespace) -> dict[str, object]:
    """Return the flags by the configuration's dotted paths; None is not given.

    Raises:
        InputError: what is for the cameras of `--source` is given without it.
    """
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


def installed_version() -> str:
    """Return edgesdk's version; of a source tree that is not installed, 0+unknown."""
    from importlib import metadata

    try:
        return metadata.version("edgesdk")
    except metadata.PackageNotFoundError:
        return "0+unknown"
