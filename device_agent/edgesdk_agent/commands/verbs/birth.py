"""`birth`: say once more who the device is and what it runs."""

from __future__ import annotations

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, NoArguments, Verb


def _run(controls: Controls, _arguments: NoArguments) -> Answer:
    controls.say_again()
    return {}


VERB = Verb("birth", "Say birth, state and what is installed again.", _run)
