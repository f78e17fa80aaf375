"""Spread a budget over layers by what each of them bears.

Every layer has some ways to be made smaller, of which each takes so much of the budget and loses so much of the score. All begin
with the smallest; then the step that wins back most of the score for its size is taken, until none fits any more. That is marginal
analysis (Fox, Discrete optimization via marginal analysis, 1966) on each layer's lower convex hull, as bits are shared out
among quantisers (Shoham and Gersho, Efficient bit allocation for an arbitrary set of quantizers, 1988). What each layer loses is
measured alone; that losses add up is an assumption, for which the result is scored beside the uniform one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One way for one layer.

    Attributes:
        size: of the budget that it takes.
        lost: of the score.
        error: of the layer's weights, relative; decides where scores are alike, as they are wherever the pictures are few.
    """

    size: float
    lost: float
    error: float


def spread(layers: Mapping[str, Sequence[Choice]], budget: float) -> dict[str, int]:
    """Return which way each layer takes.

    Args:
        layers: the ways of each layer, smallest first.
        budget: for all sizes together; the smallest ways are taken even where they exceed it.
    """
    ladders = {name: _falling(ways) for name, ways in layers.items()}
    taken = dict.fromkeys(ladders, 0)
    left = budget - sum(ways[0].size for ways in ladders.values())
    while steps := [
        (_worth(ways[taken[name]], ways[place]), name, place)
        for name, ways in ladders.items()
        for place in range(taken[name] + 1, len(ways))
        if ways[place].size - ways[taken[name]].size <= left
    ]:
        # Of equals the first layer, and its shortest step.
        _, name, place = max(steps, key=lambda step: step[0])
        left -= ladders[name][place].size - ladders[name][taken[name]].size
        taken[name] = place
    return taken


def _worth(now: Choice, then: Choice) -> tuple[float, float]:
    """Return what a step wins back for each unit of its size: of the score, and of the weights."""
    more = max(then.size - now.size, 1e-12)
    return (now.lost - then.lost) / more, (now.error - then.error) / more


def _falling(ways: Sequence[Choice]) -> list[Choice]:
    """Let no smaller way lose less than a larger one: few pictures measure such luck now and then."""
    found: list[Choice] = []
    worst = 0.0
    for way in reversed(ways):
        worst = max(worst, way.lost)
        found.append(Choice(way.size, worst, way.error))
    return found[::-1]
