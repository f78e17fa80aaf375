"""`edgesdk-agent enrol`: what the install line runs at its end."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import DeviceError, InputError

NAME = "enrol"
_TOKEN = "EDGESDK_ENROL_TOKEN"  # noqa: S105  (the name of a variable)


def add_parser(commands: Any) -> None:
    """Add the command to the agent's command line."""
    one = commands.add_parser(
        NAME,
        help="make this device one of a fleet",
        description="Make a key, claim this device's identity with a token, fetch its bundle, write its configuration, "
        "and start it as a service. The fleet's operator gets the line to paste from `edgesdk fleet enrol`.",
    )
    one.add_argument("--server", metavar="URL", help="the fleet's service, https://host:port")
    one.add_argument("--token", default="", help=f"better in {_TOKEN}, where other users cannot read it")
    one.add_argument("--ca-sha256", default="", metavar="HEX", help="the fleet's authority; the system's unless given")
    one.add_argument("--home", metavar="DIR", help="put everything below this folder, and make no service")
    one.add_argument("--no-service", action="store_true", help="write everything, and make no service")
    one.add_argument("--user", default="edgesdk", help="whom the service runs as")
    one.add_argument(
        "--memory-max", default="", metavar="SIZE", help="the most memory the service may take, such as 1G"
    )
    one.add_argument("--again", action="store_true", help="replace an identity that is there, with a new token")
    one.add_argument("--renew", action="store_true", help="get a new certificate now, and do nothing else")
    one.add_argument("--json", action="store_true", help="print one JSON document")
    one.add_argument("--quiet", action="store_true", help="log warnings only")
    one.add_argument("--debug", action="store_true", help="show tracebacks")


def run(options: argparse.Namespace) -> int:
    """Do it and return the exit code."""
    from edgesdk_agent.enrol.enrol import Places, enrol
    from edgesdk_agent.logs.start import current_logs

    places = Places.below(Path(options.home).absolute()) if options.home else Places.of_service(options.user)
    if not options.home and os.geteuid() != 0:
        raise DeviceError(
            "A service is set up by the device's administrator.", hint="Run it with sudo, or give --home."
        )
    if options.renew:
        return _renew(options, places)
    token = options.token or os.environ.pop(_TOKEN, "")
    if not options.server or not token:
        raise InputError(
            "The fleet's address or the token is missing.", hint="Paste the whole line of `edgesdk fleet enrol`."
        )
    current_logs().redaction.add(token)
    claimed = enrol(
        options.server, token, places, ca_sha256=options.ca_sha256, again=options.again,
        said=_tell,
    )  # fmt: skip
    service = not options.home and not options.no_service
    if service:
        _start_service(options, places)
    started = "the service is started" if service else f"edgesdk-agent run --config {places.config}"
    document = {
        "node": claimed.node, "broker": claimed.broker, "config": str(places.config), "service": service,
        "not_after": claimed.not_after.isoformat(),
    }  # fmt: skip
    sys.stdout.write((json.dumps(document, indent=2) if options.json else f"{claimed.node}: {started}") + "\n")
    sys.stdout.flush()
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _start_service(options: argparse.Namespace, places: Any) -> None:
    """Install the service as `edgesdk-agent install` does; its user exists from then on, and gets its files."""
    import pwd

    from edgesdk_agent.enrol.enrol import give_to
    from edgesdk_agent.service.commands import install_here

    # First without a start: the files are the service's only when its user is there.
    install_here(places.config, options.user, options.memory_max, start=False)
    entry = pwd.getpwnam(options.user)
    give_to(entry.pw_uid, entry.pw_gid, places)
    install_here(places.config, options.user, options.memory_max, start=True)


def _renew(options: argparse.Namespace, places: Any) -> int:
    from edgesdk_agent.enrol.renewal import Renewal

    Renewal(places.identity, None).renew()
    facts = places.identity.facts()
    document = {"node": facts.node, "not_after": facts.not_after.isoformat()}
    text = f"{facts.node}: the certificate holds until {facts.not_after.isoformat()}"
    sys.stdout.write((json.dumps(document, indent=2) if options.json else text) + "\n")
    return 0
