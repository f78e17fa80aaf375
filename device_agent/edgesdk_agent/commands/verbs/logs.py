"""`logs`: the last records of the log, without secrets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb
from edgesdk_agent.commands.verbs.log_level import LEVELS, Level


class LogsArguments(Arguments):
    """How many of the last records, of which level at least."""

    count: Annotated[int, Field(ge=1, le=500)] = 50
    level: Level = "info"


def _run(controls: Controls, arguments: LogsArguments) -> Answer:
    return {"records": [*controls.logs.recent(arguments.count, LEVELS[arguments.level])]}


VERB = Verb("logs", "Answer with the last records of the log.", _run, LogsArguments)
