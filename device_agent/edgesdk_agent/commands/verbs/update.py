"""`update`: ask for another bundle, for the one before, or for the end of an update; what comes of it is told as events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgesdk_agent.commands.controls import Controls
from edgesdk_agent.commands.verb import Answer, Arguments, Verb
from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_targets.errors import InputError


class UpdateArguments(Arguments):
    """What: `install` from an address, with a shadow run before its trial where that is asked for; `back`; or `abort`."""

    do: Literal["install", "back", "abort"] = "install"
    address: Annotated[str, Field(max_length=2048)] = ""
    why: Annotated[str, Field(max_length=300)] = ""
    shadow: ShadowPlan | None = None


def _run(controls: Controls, arguments: UpdateArguments) -> Answer:
    if controls.ask_update is None:
        raise InputError("This device takes no updates.", hint="It needs a section `update`, and its launcher.")
    # A path would let whoever may command look for files of the device.
    if (arguments.do == "install") != arguments.address.startswith("https://"):
        raise InputError("An update comes from an address.", hint="address=https://host/NAME.edgebundle, with install.")
    if arguments.shadow is not None and arguments.do != "install":
        raise InputError("A shadow run goes with install.", hint="Leave shadow out.")
    controls.ask_update(arguments.do, arguments.address, arguments.why, arguments.shadow)
    return {"asked": arguments.do}


VERB = Verb("update", "Ask for another bundle, signed and on trial.", _run, UpdateArguments)
