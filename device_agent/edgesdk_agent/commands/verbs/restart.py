"""`restart`: stop well and start again; the answer comes after the start."""

from __future__ import annotations

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, NoArguments, Verb


def _run(controls: Controls, _arguments: NoArguments) -> Answer:
    controls.restart("a command")
    return {}


VERB = Verb("restart", "Stop well and start again; the answer comes after the start.", _run, ends=True)
