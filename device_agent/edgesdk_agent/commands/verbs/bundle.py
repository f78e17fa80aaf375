"""`bundle`: let another bundle take over between two frames, after its golden set has proved it here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb


class BundleArguments(Arguments):
    """Which: the name of a file or folder in `commands.bundles`."""

    name: Annotated[str, Field(min_length=1, max_length=255)]


def _run(controls: Controls, arguments: BundleArguments) -> Answer:
    return controls.settings.use_bundle(arguments.name)


VERB = Verb("bundle", "Let another bundle of the folder of bundles take over.", _run, BundleArguments)
