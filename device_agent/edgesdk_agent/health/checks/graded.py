"""How a figure is graded against a pair of marks."""

from __future__ import annotations

from edgesdk_agent.health.finding import Level


def above(value: float, marks: tuple[float, float]) -> Level:
    """Return how bad a figure is that should stay below its marks (warning, failing)."""
    return Level.FAILING if value >= marks[1] else Level.WARNING if value >= marks[0] else Level.OK


def below(value: float, marks: tuple[float, float]) -> Level:
    """Return how bad a figure is that should stay above its marks (warning, failing)."""
    return Level.FAILING if value <= marks[1] else Level.WARNING if value <= marks[0] else Level.OK
