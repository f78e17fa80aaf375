"""What a search asks for, and how it is answered: a configuration, its figures, or that it is not worth finishing (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgesdk.search.parameter import Scalar


class Dropped(Exception):
    """Raised inside a trial that is not worth finishing; says why, and which figures are known by then."""

    def __init__(self, why: str, figures: Mapping[str, float] | None = None) -> None:
        super().__init__(why)
        self.figures = dict(figures or {})


@dataclass(frozen=True, slots=True)
class Asked:
    """A configuration that is to be tried.

    Attributes:
        report: told a figure of the first objective while the trial goes on, by step; raises `Dropped` where others were
            better at that step. Of several objectives nothing is dropped.
    """

    number: int
    parameters: Mapping[str, Scalar]
    report: Callable[[int, float], None]


Evaluate = Callable[[Asked], Mapping[str, float]]
