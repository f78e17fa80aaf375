"""Classes that were lost while the mean stayed high.

A class collapses if it is known to have lost more than `floor` of its recall: the exact test of the drop's lower end,
each class's chance weighed by Holm's rule, so that many classes do not make a false alarm likelier than one in twenty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk.evaluate.paired_proportions import ALPHA, chance_of_so_much

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ClassDrop:
    """What one class lost.

    Attributes:
        reference, artifact: recall, 0..1.
        n: independent samples with this class.
        lost, won: of them, in whole or in parts.
        collapsed: known to have lost more than the floor.
        blind: too few samples: even the loss of all would not be known.
    """

    name: str
    reference: float
    artifact: float
    n: int
    lost: float
    won: float
    collapsed: bool = False
    blind: bool = False

    @property
    def drop(self) -> float:
        return self.reference - self.artifact

    def to_json(self) -> dict[str, object]:
        return {
            "class": self.name,
            "reference": round(self.reference, 6),
            "artifact": round(self.artifact, 6),
            "n": self.n,
            "collapsed": self.collapsed,
            "too_few": self.blind,
        }


def judged(classes: Sequence[ClassDrop], floor: float) -> tuple[ClassDrop, ...]:
    """Return the classes with what is known about each.

    Args:
        floor: recall that a class may lose, 0..1.
    """
    chances = [chance_of_so_much(c.n, c.lost, c.won, floor) for c in classes]
    order = sorted(range(len(classes)), key=lambda i: chances[i])
    collapsed: set[int] = set()
    for rank, i in enumerate(order):
        if chances[i] > ALPHA / (len(classes) - rank):
            break
        collapsed.add(i)
    return tuple(
        ClassDrop(
            c.name,
            c.reference,
            c.artifact,
            c.n,
            c.lost,
            c.won,
            collapsed=i in collapsed,
            blind=chance_of_so_much(c.n, round(c.reference * c.n), 0, floor) > ALPHA / len(classes),
        )
        for i, c in enumerate(classes)
    )


def blind_warning(classes: Sequence[ClassDrop]) -> tuple[str, ...]:
    """Return the warning about classes with too few samples, or none."""
    blind = [f"{c.name} ({c.n})" for c in classes if c.blind]
    if not blind:
        return ()
    more = f" and {len(blind) - _SHOWN} more" if len(blind) > _SHOWN else ""
    return (f"Too few right samples to see a collapse of {', '.join(blind[:_SHOWN])}{more}: add samples of them.",)
