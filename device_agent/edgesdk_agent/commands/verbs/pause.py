"""`pause`: let none of a camera's frames through until it is resumed; kept over a restart."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb


class PauseArguments(Arguments):
    """Which camera."""

    camera: Annotated[str, Field(min_length=1, max_length=64)]


def _run(controls: Controls, arguments: PauseArguments) -> Answer:
    controls.cameras.pause(arguments.camera)
    return {"paused": [*controls.cameras.paused()]}


VERB = Verb("pause", "Let none of a camera's frames through until it is resumed.", _run, PauseArguments)
