"""`snapshot`: take a camera's next picture and send it, where pictures may leave this device."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb
from edgesdk_targets.errors import InputError


class SnapshotArguments(Arguments):
    """Which camera, and for how long its next picture is waited for."""

    camera: Annotated[str, Field(min_length=1, max_length=64)]
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 5.0


def _run(controls: Controls, arguments: SnapshotArguments) -> Answer:
    if controls.snapshot is None:
        raise InputError("No picture may leave this device.", hint="Its owner allows it: pictures.enabled: true.")
    return controls.snapshot(arguments.camera, arguments.timeout_s)


VERB = Verb("snapshot", "Take a camera's next picture and send it.", _run, SnapshotArguments)
