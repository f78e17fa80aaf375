"""`set`: change fields of the configuration, all or none, and take them back if the device does worse by it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb


class SetArguments(Arguments):
    """Fields by dotted path; null takes back what was set.

    Attributes:
        restart: start again, where a field cannot change while the agent runs.
    """

    values: Annotated[dict[str, JsonValue], Field(min_length=1, max_length=64)]
    restart: bool = False


def _run(controls: Controls, arguments: SetArguments) -> Answer:
    return controls.settings.set(arguments.values, restart=arguments.restart)


VERB = Verb("set", "Set fields of the configuration that may be set from afar.", _run, SetArguments)
