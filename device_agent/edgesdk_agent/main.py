"""`edgesdk-agent`: the device's own entry point. It reads the command line, does what it says, and tells how that ended."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesdk_agent.arguments import parser_for
from edgesdk_agent.enrol import commands as enrolment
from edgesdk_agent.logs.start import start_logs
from edgesdk_agent.logs.tracebacks import redact_tracebacks
from edgesdk_agent.service import commands as service
from edgesdk_agent.update import commands as updates
from edgesdk_targets.errors import EdgeError, InputError, SessionFailed, WrongTarget


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `edgesdk-agent` and exit."""
    raise SystemExit(run(arguments))


def run(arguments: Sequence[str] | None = None, *, prog: str = "edgesdk-agent") -> int:
    """Run the command line and return the exit code: 0, 1 failure, 2 usage, 3 not verified, 4 cannot run here."""
    options = parser_for(prog).parse_args(arguments)
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
        from edgesdk_agent.run_command import run_agent

        summary = run_agent(options)
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


def _exit_code(error: EdgeError) -> int:
    if isinstance(error, (WrongTarget, SessionFailed)):
        return 4
    return 2 if isinstance(error, InputError) else 1


if __name__ == "__main__":
    main()
