"""`reload`: read the configuration file again, as SIGHUP does."""

from __future__ import annotations

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, NoArguments, Verb


def _run(controls: Controls, _arguments: NoArguments) -> Answer:
    return controls.settings.reload()


VERB = Verb("reload", "Read the configuration file again, and apply what changed, all or nothing.", _run)
