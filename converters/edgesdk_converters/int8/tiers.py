"""The tiers of INT8: what is done for accuracy, and what is kept in float, tried in turn until the artifact is good enough.

1. plain: everything quantisable but what follows the last convolutions;
2. tuned: the same with weights chosen for 8 bits, where that was measured to help; if the gate, too, likes it
   better than plain, all later tries but the last have these weights;
3. head in float, of a detector: the last convolutions too, where boxes and scores are made;
4. ranked: the layers that cost the most by themselves, worst first, in growing numbers; for TensorRT from eight on with all
   depthwise layers, which are many, hold few of the products (of FastestDet's 12 %) and much of the noise. On the other runtimes
   each float layer amid others in 8 bits would cost two conversions;
5. the runtime's last resort, where it has one: OpenVINO's accuracy control, LiteRT's ranges found while running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PLAIN, TUNED = "plain", "tuned weights"
# How many of the worst layers are kept in float, try by try, beside the head.
_RANKED = (1, 4, 8, 16, 32)
# From how many on those with few products join them.
_WITH_LIGHT = 8
# A model that is mostly float is no INT8 model: beyond this share of its layers the search is given up.
_MOST_FLOAT = 0.5


@dataclass(frozen=True, slots=True)
class Tier:
    """One try.

    Attributes:
        keep_float: names of the ONNX nodes that are not quantised.
        mixed: layers with weights are kept in float.
        last_resort: the family's own other way to INT8.
        tuned: with the weights chosen for 8 bits, but in the layers kept in float.
    """

    name: str
    keep_float: tuple[str, ...]
    mixed: bool
    last_resort: bool = False
    tuned: bool = False


def tiers(
    *,
    kept: Sequence[str],
    head: Callable[[], Sequence[str]],
    ranking: Callable[[], Sequence[str]],
    light: Callable[[], Sequence[str]] = tuple,
    tuning: Callable[[], bool] = lambda: False,
    tuning_helps: Callable[[], bool] = lambda: True,
    mixed_only: bool = False,
    last_resort: str | None = None,
) -> Iterator[Tier]:
    """Yield the tries in order; what a later one needs is found out only when it is reached.

    Args:
        kept: nodes that the user keeps in float, in every tier.
        head: gives the nodes of a detector's head; nothing for other models, whose last layer is one like the others, and
            often the largest of all.
        ranking: gives the quantisable nodes, the costliest first.
        light: gives layers with few products, kept in float together; nothing where that costs speed.
        tuning: tells whether there are weights chosen for 8 bits.
        tuning_helps: asked once they were tried; tells whether they did better than plain.
        mixed_only: leave out what keeps nothing in float.
        last_resort: what the family's other way is called; None where it has none.
    """
    if not mixed_only or kept:
        yield Tier(PLAIN, tuple(kept), mixed=bool(kept))
    tuned = tuning()
    if tuned and (not mixed_only or kept):
        yield Tier(TUNED, tuple(kept), mixed=bool(kept), tuned=True)
        tuned = tuning_helps()
    head_nodes = tuple(dict.fromkeys([*kept, *head()]))
    if set(head_nodes) != set(kept):
        yield Tier("head in float", head_nodes, mixed=True, tuned=tuned)
    ranked, light_nodes, also = ranking(), light(), ""
    for count in _RANKED:
        if count == _WITH_LIGHT and light_nodes:
            head_nodes = tuple(dict.fromkeys([*head_nodes, *light_nodes]))
            ranked, also = [name for name in ranked if name not in light_nodes], " and the depthwise ones"
        if count > _MOST_FLOAT * len(ranked):
            break
        worst = [name for name in ranked if name not in head_nodes]
        yield Tier(
            "the costliest layer in float" if count == 1 else f"the {count} costliest layers{also} in float",
            (*head_nodes, *worst[:count]),
            mixed=True,
            tuned=tuned,
        )
    if last_resort is not None:
        yield Tier(last_resort, tuple(kept), mixed=True, last_resort=True)
