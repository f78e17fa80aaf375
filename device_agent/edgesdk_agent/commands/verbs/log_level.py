"""`log-level`: log more, or less, until the next start."""

from __future__ import annotations

import logging
from typing import Literal

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[Level, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogLevelArguments(Arguments):
    """The lowest level that is logged."""

    level: Level


def _run(controls: Controls, arguments: LogLevelArguments) -> Answer:
    controls.logs.set_level(LEVELS[arguments.level])
    return {"level": arguments.level}


VERB = Verb("log-level", "Log records of this level at least, until the next start.", _run, LogLevelArguments)
