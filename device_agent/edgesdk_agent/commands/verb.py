"""A verb: its name, what it takes, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, JsonValue

from edgesdk_agent.commands.controls import Controls
from edgesdk_targets.late_model import LateModel

Answer = dict[str, JsonValue]


class Arguments(LateModel):
    """What a verb takes: checked before it is begun, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoArguments(Arguments):
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a device does when it is told to.

    Attributes:
        name: as it is written in a command.
        does: one sentence for people.
        run: does it, on the commands' own thread, and returns what to answer. What it raises of `EdgeError` is the
            answer of a command that failed.
        arguments: checked first.
        ends: the agent stops or starts again by it; whether it was done shows after the start.
    """

    name: str
    does: str
    run: Callable[[Controls, Any], Answer]
    arguments: type[Arguments] = NoArguments
    ends: bool = False
