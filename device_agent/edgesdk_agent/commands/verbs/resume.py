"""`resume`: go on with the next frame of a camera that was paused."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb


class ResumeArguments(Arguments):
    """Which camera."""

    camera: Annotated[str, Field(min_length=1, max_length=64)]


def _run(controls: Controls, arguments: ResumeArguments) -> Answer:
    controls.cameras.resume(arguments.camera)
    return {"paused": [*controls.cameras.paused()]}


VERB = Verb("resume", "Go on with the next frame of a camera that was paused.", _run, ResumeArguments)
