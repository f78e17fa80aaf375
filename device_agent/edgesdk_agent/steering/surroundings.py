"""What settings need of the running agent, as calls into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.steering.health_mark import Mark

Severity = Literal["info", "warning", "error"]
Applier = Callable[[LoadedConfig], None]


class Tell(Protocol):
    """Reports that something happened."""

    def __call__(
        self, name: str, severity: Severity, message: str, *, data: dict[str, JsonValue] | None = None
    ) -> None:
        """Report it."""


def _always() -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The agent.

    Attributes:
        appliers: the parts that take changes on while the agent runs, by their name in `config.change`.
        mark: how the device does now.
        tell: reports an event.
        restart: starts the agent again, soon; why.
        changed: is called after a change, with what is in effect now.
        bundle_differs: whether the bundle's file is another one by now.
        check_restart: raises DeviceError where it was started again too often to be started again now.
    """

    appliers: Mapping[str, Applier]
    mark: Callable[[], Mark]
    tell: Tell
    restart: Callable[[str], None]
    changed: Callable[[LoadedConfig], None]
    bundle_differs: Callable[[AgentConfig], bool]
    check_restart: Callable[[], None] = _always
