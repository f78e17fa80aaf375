"""What differs between two configurations, and which part of the running agent takes it on.

A field that no part takes on needs a restart. Rule: a change is made whole, or refused whole with the fields that would
need a restart; nobody has to find out which half of a file is in effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr

from edgesdk_agent.config.commands import is_below
from edgesdk_agent.config.root import AgentConfig

# What can change while the agent runs: a field, or all fields below it, and the part that takes it on. The parts in their
# order: what may fail comes first. `model` also means: the bundle is loaded, proven and takes over between two frames.
PARTS = ("model", "scenes", "frame_data", "reporting", "commands")
LIVE: Mapping[str, str] = {
    "bundle": "model",
    "target": "model",
    "variant": "model",
    "then": "model",
    "pipeline": "model",
    # A whole section `events` that comes or goes needs a restart: its path is no field below.
    "events.zones": "scenes",
    "events.lines": "scenes",
    "events.rules": "scenes",
    "events.tracker": "scenes",
    "events.report": "scenes",
    "events.moved": "scenes",
    "events.silence_s": "scenes",
    "events.summary_interval_s": "scenes",
    # The numbers of the gates; which of them there are is settled at the start.
    "frame_data.corrupt_part": "frame_data",
    "frame_data.overexposed_part": "frame_data",
    "frame_data.sharpness_below": "frame_data",
    "frame_data.motion_part": "frame_data",
    "frame_data.hash_distance": "frame_data",
    "frame_data.longest_silence_s": "frame_data",
    "telemetry": "reporting",
    "mqtt.max_results_per_s": "reporting",
    "commands.settable": "commands",
    "commands.bundles": "commands",
    "commands.require_golden": "commands",
    "commands.trial_s": "commands",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs.

    Attributes:
        part: of the agent that can take it on while it runs; empty where it needs a restart.
    """

    path: str
    part: str


def changes(before: AgentConfig, after: AgentConfig) -> tuple[Change, ...]:
    """Return every field that differs, in the order of the configuration."""
    return tuple(Change(path, part_of(path)) for path in _differing(before, after, ""))


def part_of(path: str) -> str:
    """Return the part of the agent that takes a field on while it runs, or an empty text."""
    return next((part for field, part in LIVE.items() if is_below(path, field)), "")


def needing_restart(found: Iterable[Change]) -> tuple[str, ...]:
    """Return the fields that no part takes on."""
    return tuple(change.path for change in found if not change.part)


def parts_of(found: Iterable[Change]) -> tuple[str, ...]:
    """Return the parts that have something to take on, in the order in which they do."""
    wanted = {change.part for change in found}
    return tuple(part for part in PARTS if part in wanted)


def _differing(before: object, after: object, path: str) -> list[str]:
    if isinstance(before, BaseModel) and type(before) is type(after):
        return [
            found
            for name in type(before).model_fields
            for found in _differing(getattr(before, name), getattr(after, name), f"{path}.{name}" if path else name)
        ]
    if isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [found for index, (one, other) in pairs for found in _differing(one, other, f"{path}[{index}]")]
    return [] if _plain(before) == _plain(after) else [path]


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
