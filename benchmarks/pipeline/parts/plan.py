"""How much is measured: rounds, lengths, and in which order."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.contestants import Contestant
from pipeline.findings import Figure
from pipeline.turn import Turn

_WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The command line's choices.

    Attributes:
        count: rounds.
        quick: short turns, to try the machinery; the figures are worth little.
        soak_s: of the run whose memory is watched.
        chosen: only contestants with one of these words in their name; empty for all.
    """

    count: int
    quick: bool = False
    soak_s: float = 600.0
    chosen: tuple[str, ...] = ()

    def rounds(self) -> range:
        return range(self.count)

    def order(self, contestants: Sequence[Contestant], number: int) -> list[Contestant]:
        """Return the contestants of a round in an order of its own, so that none is always after the same other."""
        return self.order_of_groups([[contestant] for contestant in contestants], number)

    def order_of_groups(self, groups: Sequence[Sequence[Contestant]], number: int) -> list[Contestant]:
        """Return the same where some stay together, because what one makes is divided by what another makes.

        A machine that is shared is quicker in one minute than in the next: turns are compared best that follow each other.
        Within its group each has its place, forwards in one round and backwards in the next.
        """
        shuffled = list(groups)
        random.Random(number).shuffle(shuffled)
        ordered = [contestant for group in shuffled for contestant in (group if number % 2 else group[::-1])]
        return [c for c in ordered if not self.chosen or any(word in c.name for word in self.chosen)]

    def seconds(self, full: float) -> float:
        """Return how long a live turn takes."""
        return min(full, 4.0) if self.quick else full

    @property
    def warm_up_s(self) -> float:
        """What is left out at the beginning of a live turn."""
        return 0.5 if self.quick else _WARM_UP_S

    def say(self, turn: Turn, number: int, figures: Mapping[str, Figure]) -> None:
        """Tell the person at the terminal what a turn gave."""
        line = turn.failure or "  ".join(f"{key} {figure(turn):.4g}" for key, figure in figures.items())
        share = f"  (others {turn.others_share:.0%})" if turn.others_share >= 0.05 else ""
        print(f"round {number + 1}  {turn.name:42} {line}{share}", file=sys.stderr, flush=True)
