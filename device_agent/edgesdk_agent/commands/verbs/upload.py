"""`upload`: send a picture or clip that is kept here to the configured server."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb
from edgesdk_targets.errors import InputError


class UploadArguments(Arguments):
    """The id of a snapshot or clip, as events and commands tell it."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


def _run(controls: Controls, arguments: UploadArguments) -> Answer:
    if controls.evidence is None:
        raise InputError("No picture may leave this device.", hint="Its owner allows it: pictures.enabled: true.")
    return controls.evidence.upload(arguments.id)


VERB = Verb(
    "upload",
    "Send a kept picture or clip by its id; the event `evidence_sent` says that it arrived.",
    _run,
    UploadArguments,
)
