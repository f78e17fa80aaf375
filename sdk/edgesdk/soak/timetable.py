"""When what is broken: rounds of all injections, each round in an order of its own, with time to recover in between.

What may end the agent comes in the first half of the rounds only: growth is judged within one life, and the last life is to
be long enough to show a slow one, with every other fault in it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgesdk_targets.errors import InputError

# Before the first and after the last fault the agent is left alone: its warm-up, and the state that is judged.
_BEFORE, _AFTER = 0.2, 0.15
_REST_S = 12.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One injection's turn, seconds since the start."""

    name: str
    begins_s: float
    ends_s: float

    def begun_at(self, now_s: float) -> Turn:
        """Return it as it is where it begins later; it lasts as long."""
        return Turn(self.name, now_s, now_s + self.ends_s - self.begins_s)


def latest_end_s(duration_s: float) -> float:
    """Return when the last fault must have ended: half of what is left alone at the end is left alone in any case."""
    return duration_s * (1.0 - _AFTER / 2)


def timetable(
    duration_s: float, lasting_s: Mapping[str, float], seed: int, *, ends_agent: Collection[str] = ()
) -> list[Turn]:
    """Return the turns, none of which overlap.

    Args:
        duration_s: of the soak.
        lasting_s: how long each injection lasts, by name.
        seed: of the order.
        ends_agent: the names of what may end the agent.

    Raises:
        InputError: there is not time for each of them once.
    """
    if not lasting_s:
        return []
    room_s = duration_s * (1.0 - _BEFORE - _AFTER)
    round_s = sum(lasting_s.values()) + _REST_S * len(lasting_s)
    rounds = int(room_s / round_s)
    if not rounds:
        least = round_s / (1.0 - _BEFORE - _AFTER) / 60
        raise InputError(
            f"{duration_s / 60:.1f} minutes are too short for {len(lasting_s)} injections.",
            hint=f"Give --minutes {least + 0.1:.1f} or more, or inject fewer.",
        )
    order = random.Random(seed)  # noqa: S311  (an order that can be repeated, no secret)
    names: list[str] = []
    harmless = [name for name in lasting_s if name not in ends_agent]
    for number in range(rounds):
        one = list(lasting_s) if number < -(-rounds // 2) or not harmless else list(harmless)
        order.shuffle(one)
        names += one
    rest_s = (room_s - sum(lasting_s[name] for name in names)) / len(names)
    turns, at = [], duration_s * _BEFORE
    for name in names:
        turns.append(Turn(name, at, at + lasting_s[name]))
        at += lasting_s[name] + rest_s
    return turns
