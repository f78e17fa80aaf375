"""What a verb may touch of the running agent; nothing else of it is reachable from a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

if TYPE_CHECKING:
    from edgesdk_agent.update.asking import Ask


class Settings(Protocol):
    """The configuration while it is in use."""

    def set(self, values: Mapping[str, JsonValue], *, restart: bool = False) -> dict[str, JsonValue]:
        """Set whitelisted fields by dotted path, all or none, on trial."""

    def reload(self) -> dict[str, JsonValue]:
        """Read the file again, and apply what changed, all or nothing."""

    def use_bundle(self, name: str) -> dict[str, JsonValue]:
        """Let a bundle of the folder of bundles take over."""


class Cameras(Protocol):
    """The cameras of the pipeline."""

    def pause(self, camera: str) -> None:
        """Let none of its frames through. Raises InputError: there is no such camera."""

    def resume(self, camera: str) -> None:
        """Go on with its next frame. Raises InputError: there is no such camera."""

    def paused(self) -> tuple[str, ...]:
        """Return the names of those that are paused."""


class LogBook(Protocol):
    """What the agent logs."""

    def recent(self, count: int, level: int) -> list[dict[str, JsonValue]]:
        """Return the last records of a level at least, the oldest first, without secrets."""

    def set_level(self, level: int) -> None:
        """Log records of this level at least."""


class Evidence(Protocol):
    """Clips, and the way of pictures and clips to a server."""

    def clip(self, camera: str, at: datetime | None, seconds: float | None, *, upload: bool) -> dict[str, JsonValue]:
        """Have a clip made. Raises InputError: clips are off, or the time is not in the ring."""

    def upload(self, file_id: str) -> dict[str, JsonValue]:
        """Have a kept picture or clip sent. Raises InputError: there is none of this id, or no server is configured."""


@dataclass(frozen=True, slots=True)
class Controls:
    """The agent, as far as commands go.

    Attributes:
        say_again: say birth, state and what is installed once more.
        restart: stop well and start again, as soon as the answer is on its way.
        evidence: makes clips, and sends what is kept; None where there are no pictures.
        snapshot: takes the next picture of a camera, within seconds, sends it on its way, and returns what to answer;
            None where no picture may leave this device.
        ask_update: asks for an update; None where this device takes none.
    """

    settings: Settings
    cameras: Cameras
    logs: LogBook
    say_again: Callable[[], None]
    restart: Callable[[str], None]
    snapshot: Callable[[str, float], dict[str, JsonValue]] | None = None
    evidence: Evidence | None = None
    ask_update: Ask | None = None
