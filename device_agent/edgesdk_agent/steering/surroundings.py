"""What settings need of the running agent, as calls into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.steering.health_mark import Mark

Severity = Literal["info", "warning", "error"]
Applier = Callable[[LoadedConfig], None]


def _always() -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The agent.

    Attributes:
        appliers: the parts that take changes on while the agent runs, by their name in `config.change`.
        mark: how the device does now.
        tell: reports an event: name, severity, message.
        restart: starts the agent again, soon; why.
        changed: is called after a change, with what is in effect now.
        bundle_differs: whether the bundle's file is another one by now.
        check_restart: raises DeviceError where it was started again too often to be started again now.
    """

    appliers: Mapping[str, Applier]
    mark: Callable[[], Mark]
    tell: Callable[[str, Severity, str], None]
    restart: Callable[[str], None]
    changed: Callable[[LoadedConfig], None]
    bundle_differs: Callable[[AgentConfig], bool]
    check_restart: Callable[[], None] = _always
