"""What is given up where the configuration names no ladder: frames, then the model for a cheaper one of its bundle, then cameras.

Cheaper is what the manifest declares, not a guess: an input of fewer pixels, or numbers of fewer bits, and more of neither.
Weights that are kept in half precision and computed in full are not cheaper. Only variants that this host can run, among
those that were asked for, count; where there are none, the ladder is without them.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgesdk_agent.governor.ladder import USUAL_LADDER, Rung
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.errors import WrongTarget
from edgesdk_targets.target import Precision
from edgesdk_targets.variant_choice import choose_variants

# After frames, before cameras.
_PLACE = next(place for place, rung in enumerate(USUAL_LADDER) if rung.pause)
_BITS = {Precision.INT8: 8, Precision.MIXED: 12}
_HALF = frozenset({"f16", "bf16"})


def usual_ladder(manifest: Manifest, running: Variant, *, target: str = "", variant: str = "") -> tuple[Rung, ...]:
    """Return the ladder for a model that runs.

    Args:
        target, variant: what the configuration asks for, and nothing else is taken.
    """
    try:
        choice = choose_variants(manifest, target=target or None, variant_id=variant or None)
    except WrongTarget:
        return USUAL_LADDER
    steps = cheaper_in_turn(running, (one.variant for one in choice.candidates))
    models = (Rung(f"the variant {one.id}", variant=one.id) for one in steps)
    return (*USUAL_LADDER[:_PLACE], *models, *USUAL_LADDER[_PLACE:])


def cheaper_in_turn(running: Variant, others: Iterable[Variant]) -> tuple[Variant, ...]:
    """Return variants each of which is cheaper than the one before: first those of a smaller input, the mildest first.

    Args:
        others: the best for this host first; of two that cost the same the first is taken.
    """
    first = _cost(running)
    apart = [one for one in others if one.id != running.id]
    smaller = [one for one in apart if _cost(one)[0] < first[0]]
    as_large = [one for one in apart if _cost(one)[0] == first[0]]
    taken: list[Variant] = []
    now = first
    for one in (*sorted(smaller, key=_mildest), *sorted(as_large, key=_mildest)):
        cost = _cost(one)
        if cost != now and cost[0] <= now[0] and cost[1] <= now[1]:
            taken.append(one)
            now = cost
    return tuple(taken)


def _mildest(variant: Variant) -> tuple[int, int]:
    pixels, bits = _cost(variant)
    return -pixels, -bits


def _cost(variant: Variant) -> tuple[int, int]:
    """Return the numbers of the first input, and the bits in which most of it is computed."""
    pixels = 1
    for side in variant.inputs[0].shape:
        pixels *= int(side)
    return pixels, _BITS.get(variant.precision, 16 if variant.effective_precision in _HALF else 32)
