"""`clip`: make a clip of a camera from what it sent, around a time or for some seconds on."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb
from edgesdk_targets.errors import InputError


class ClipArguments(Arguments):
    """Which camera, and which time.

    Attributes:
        at: around this moment, or from it on where `seconds` are given; now unless given.
        seconds: how long; as long as that of an event unless given.
        upload: send it to `clips.upload.url` once it is written.
    """

    camera: Annotated[str, Field(min_length=1, max_length=64)]
    at: AwareDatetime | None = None
    seconds: Annotated[float, Field(gt=0, le=900)] | None = None
    upload: bool = False


def _run(controls: Controls, arguments: ClipArguments) -> Answer:
    if controls.evidence is None:
        raise InputError("No picture may leave this device.", hint="Its owner allows it: pictures.enabled: true.")
    return controls.evidence.clip(arguments.camera, arguments.at, arguments.seconds, upload=arguments.upload)


VERB = Verb("clip", "Make a clip of a camera; the event `clip_kept` says that it is there.", _run, ClipArguments)
