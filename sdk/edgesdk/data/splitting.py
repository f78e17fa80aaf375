"""Divide pictures into sets: each class in the asked shares, what belongs together in one set (pure).

Groups are placed one after the other, large ones and those with rare classes first, each into the set where it brings what
all classes lack nearest to nothing: the rule of scikit-learn's `StratifiedGroupKFold`, here for unequal shares and for pictures of
several classes too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.errors import InputError

# Counts as a class that every picture is of: the sets' sizes, and pictures without a class, are shared out evenly, too.
_ALL = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A set to be made, and the share of the pictures that it gets."""

    name: str
    part: float


def parse_shares(text: str) -> list[Share]:
    """Read `train=0.8,val=0.1,test=0.1`.

    Raises:
        InputError: it is not that, or the shares are not 1 in sum.
    """
    shares = []
    for word in text.split(","):
        name, _, part = word.partition("=")
        try:
            shares.append(Share(name.strip(), float(part)))
        except ValueError:
            raise InputError(f"{word!r} is no share.", hint="Write train=0.8,val=0.1,test=0.1.") from None
    names = [share.name for share in shares]
    wrong_name = next((name for name in names if not name.replace("-", "").replace("_", "").isalnum()), None)
    if wrong_name is not None or len(set(names)) < len(names):
        raise InputError(f"The sets {', '.join(names)} need names of their own.", hint="Letters, digits, - and _.")
    if any(not 0 < share.part < 1 for share in shares) or abs(sum(share.part for share in shares) - 1) > 1e-6:
        raise InputError(f"The shares {text} are not 1 in sum.", hint="Write train=0.8,val=0.1,test=0.1.")
    return shares


def folds(count: int) -> list[Share]:
    """Return equal shares.

    Raises:
        InputError: fewer than two.
    """
    if count < 2:
        raise InputError(f"{count} folds divide nothing.", hint="5 are usual.")
    return [Share(f"fold-{number}", 1 / count) for number in range(count)]


def assign(
    classes: Sequence[Sequence[str]], groups: Sequence[str], shares: Sequence[Share], *, seed: int = 0
) -> list[str]:
    """Return the set of each picture.

    Args:
        classes: of each picture; none for one without labels.
        groups: of each picture; pictures of one group stay together, "" stands alone.
        seed: the same seed gives the same sets.

    Raises:
        InputError: there are fewer groups than sets.
    """
    units: dict[str | int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        units[group or place].append(place)
    if len(units) < len(shares):
        several = "" if len(units) == 1 else "s"
        word = f"picture{several}" if len(units) == len(classes) else f"group{several} of pictures"
        raise InputError(f"{len(units)} {word} cannot be divided into {len(shares)} sets.", hint="Give more pictures.")
    members = list(units.values())
    counts = [Counter(name for place in unit for name in (_ALL, *classes[place])) for unit in members]
    totals = sum(counts, Counter[str]())
    order = [int(i) for i in np.random.default_rng(seed).permutation(len(members))]
    # Large groups first: the small ones even out what they leave. Of equal ones those with the rarest class.
    order.sort(key=lambda unit: (-len(members[unit]), min(totals[name] for name in counts[unit])))
    chosen = _chosen(counts, totals, order, [share.part for share in shares])
    out = [""] * len(classes)
    for unit, number in chosen.items():
        for place in members[unit]:
            out[place] = shares[number].name
    return out


def _chosen(counts: list[Counter[str]], totals: Counter[str], order: list[int], parts: list[float]) -> dict[int, int]:
    lacking = [{name: part * total for name, total in totals.items()} for part in parts]
    chosen: dict[int, int] = {}
    for unit in order:
        mine = counts[unit]
        # What the sets lack of each class, squared, over what they are to get of it, and summed (as in chi-squared): it falls by
        # exactly this. Over the square of it, small sets would fill first, and the largest would get what is left.
        gains = [
            sum((2 * n * lack[name] - n * n) / totals[name] ** 2 for name, n in mine.items()) / part
            for lack, part in zip(lacking, parts, strict=True)
        ]
        best = max(range(len(parts)), key=gains.__getitem__)
        chosen[unit] = best
        for name, n in mine.items():
            lacking[best][name] -= n
    return chosen
