"""`edgesdk-agent install|uninstall|logs|status|support-bundle`: the service, seen and changed from the device's shell."""

from __future__ import annotations

import argparse
import grp
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import DeviceError, InputError

NAMES = ("install", "uninstall", "logs", "status", "support-bundle")


def add_parsers(commands: Any) -> None:
    """Add the commands to the agent's command line."""
    install = commands.add_parser(
        "install",
        help="make the agent a service of this device",
        description="Write systemd's unit, make the service's own user, enable and start it. --dry-run only shows what "
        "would be done.",
    )
    install.add_argument("--config", metavar="FILE", required=True, help="the agent's edgesdk.yaml")
    install.add_argument("--memory-max", default="", metavar="SIZE", help="the most memory it may take, such as 1G")
    install.add_argument("--no-start", action="store_true", help="enable it, and start it at the next boot")
    uninstall = commands.add_parser("uninstall", help="stop the service and remove it")
    uninstall.add_argument("--purge", action="store_true", help="its state and cache as well")
    for command in (install, uninstall):
        command.add_argument("--user", default="edgesdk", help="whom the service runs as")
        command.add_argument("--root", default="/", metavar="DIR", help="another file system, such as a card's")
        command.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    logs = commands.add_parser("logs", help="show the service's log")
    logs.add_argument("-n", "--lines", type=int, default=100, help="the last so many")
    logs.add_argument("-f", "--follow", action="store_true", help="and what comes")
    status = commands.add_parser(
        "status",
        help="say how the agents on this device do",
        description="Show the state, the checks and the counts of the agents that run here. Ends with 0, or 1 if one does "
        "not run or something fails.",
    )
    status.add_argument("--name", help="this device's name, where several run")
    bundle = commands.add_parser(
        "support-bundle",
        help="gather what helps to find a fault, without secrets",
        description="Write a zip with versions, hardware, health, the configuration in effect, the log and what each "
        "thread does. Secrets are taken out of all of it.",
    )
    bundle.add_argument("out", metavar="OUT.zip")
    bundle.add_argument("--config", metavar="FILE", help="the agent's edgesdk.yaml")
    bundle.add_argument("--log", metavar="FILE", help="a log file; the service's journal unless given")
    bundle.add_argument("--name", help="this device's name, where several agents run")
    for command in (install, uninstall, logs, status, bundle):
        command.add_argument("--json", action="store_true", help="print one JSON document")
        command.add_argument("--quiet", action="store_true", help="log warnings only")
        command.add_argument("--debug", action="store_true", help="show tracebacks")


def run(options: argparse.Namespace) -> int:
    """Do one of these commands and return its exit code."""
    does = {
        "install": _install,
        "uninstall": _uninstall,
        "logs": _logs,
        "status": _status,
        "support-bundle": _support_bundle,
    }
    return does[options.command](options)


def _install(options: argparse.Namespace) -> int:
    root = Path(options.root).absolute()
    plan = _plan(
        Path(options.config).absolute(), root, options.user, options.memory_max,
        start=not options.no_start, check=root == Path("/") and not options.dry_run,
    )  # fmt: skip
    return _carry_out(options, plan, root, "Next: edgesdk-agent status, edgesdk-agent logs -f")


def install_here(config: Path, user: str, memory_max: str, *, start: bool) -> None:
    """Make the agent a service of this device, as `install` does.

    Raises:
        InputError: it could not start as it is configured.
        DeviceError: a step failed, or this is not the administrator.
    """
    from edgesdk_agent.service.carry_out import carry_out

    carry_out(_plan(config, Path("/"), user, memory_max, start=start, check=True), Path("/"))


def _plan(config: Path, root: Path, user: str, memory_max: str, *, start: bool, check: bool) -> Any:
    from edgesdk_agent.config.loading import load_config
    from edgesdk_agent.service.plan import install_plan
    from edgesdk_agent.service.reach import check_reach
    from edgesdk_agent.service.unit import Launch, Service

    # A service that cannot start is found now, and not at the next boot.
    loaded = load_config(config)
    bundle = Path(loaded.config.bundle).absolute()
    if not bundle.exists():
        raise InputError(f"{bundle} does not exist.", hint="Correct `bundle` in the configuration.")
    update = loaded.config.update
    launch = None if update is None else Launch(_python(root), update.folder.absolute())
    python = Path(sys.executable).resolve()
    service = Service(_executable(), config, bundle, python, user, memory_max, launch)
    if check:
        for path in (service.executable, service.python, service.config, service.bundle):
            check_reach(path, service.user)
    return install_plan(service, root, _groups(root), start=start)


def _uninstall(options: argparse.Namespace) -> int:
    from edgesdk_agent.service.plan import uninstall_plan

    root = Path(options.root).absolute()
    return _carry_out(options, uninstall_plan(root, options.user, purge=options.purge), root, "The service is removed.")


def _carry_out(options: argparse.Namespace, plan: Any, root: Path, end: str) -> int:
    from edgesdk_agent.service.carry_out import carry_out, in_words, may_change

    if options.dry_run:
        _print(options, {"dry_run": True, "plan": in_words(plan, root)}, in_words(plan, root))
        return 0
    if not may_change(root):
        raise DeviceError(
            "A service is installed by the device's administrator.", hint="Run it with sudo, or --dry-run."
        )
    done = carry_out(plan, root)
    _print(options, {"dry_run": False, "done": done}, "\n".join([*done, end]))
    return 0


def _logs(options: argparse.Namespace) -> int:
    from edgesdk_agent.service.unit import UNIT_NAME

    program = shutil.which("journalctl")
    if program is None:
        raise DeviceError("There is no journal on this device.", hint="The agent logs to stderr of whoever started it.")
    form = "json" if options.json else "short-iso"
    words = [program, "-u", UNIT_NAME, "-n", str(max(1, options.lines)), "-o", form, "--no-pager"]
    sys.stdout.flush()
    os.execv(program, [*words, *(["-f"] if options.follow else [])])  # noqa: S606  (the journal takes this process over, Ctrl-C included)


def _status(options: argparse.Namespace) -> int:
    from edgesdk_agent.health.status_file import find_status
    from edgesdk_agent.health.status_text import exit_code_of, in_words

    found = find_status(options.name or "")
    _print(options, found, "\n\n".join(map(in_words, found)))
    return exit_code_of(found)


def _support_bundle(options: argparse.Namespace) -> int:
    from edgesdk_agent.support_bundle.gather import write_support_bundle

    written = write_support_bundle(
        Path(options.out),
        config=None if options.config is None else Path(options.config),
        log_file=None if options.log is None else Path(options.log),
        device=options.name or "",
    )
    _print(options, written, f"{written['file']}: {', '.join(written['parts'])}. Look at it before you send it.")
    return 0


def _print(options: argparse.Namespace, document: Any, text: str) -> None:
    sys.stdout.write((json.dumps(document, indent=2) if options.json else text) + "\n")
    sys.stdout.flush()


def _executable() -> Path:
    """Return the agent's own program: beside this Python, else wherever it is found."""
    beside = Path(sys.executable).with_name("edgesdk-agent")
    found = str(beside) if beside.exists() else shutil.which("edgesdk-agent")
    if found is None:
        raise DeviceError("The program edgesdk-agent is not installed.", hint="pip install 'edgesdk[agent]'")
    return Path(found).absolute()


def _python(root: Path) -> Path:
    """Return the Python that starts the launcher: the system's, which no environment of ours can break."""
    usual = Path("/usr/bin/python3")
    return usual if (root / usual.relative_to("/")).exists() else Path(sys.executable).absolute()


def _groups(root: Path) -> list[str]:
    """Return the groups that exist on that file system."""
    if root == Path("/"):
        return [one.gr_name for one in grp.getgrall()]
    try:
        return [line.partition(":")[0] for line in (root / "etc/group").read_text("utf-8").splitlines()]
    except OSError:
        return []
