"""Structured pruning: whole channels go, so that every runtime computes less.

How much of each group goes is decided by how well the model bears it (sensitivity), which of its channels by their norm. A budget
is met by taking more of all groups until it is: groups that bear little give way last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgesdk.compression.budget import least_that_fits
from edgesdk.compression.channel_groups import ChannelGroup, ChannelGroups, find_groups
from edgesdk.compression.model_size import stored_bytes, total_macs
from edgesdk.compression.pass_settings import Prune
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk_targets.errors import InputError

# A group that bears nothing at all still gives way to a budget that cannot be met without it.
_LEAST_TOLERANCE = 0.05
_NAMED = 4
_COUNTED_HALVINGS, _MEASURED_HALVINGS = 9, 5
# How much of what may still go is taken where a time was met by luck: little first, as most of that is noise.
_TAKEN_AGAIN = (1 / 16, 1 / 8, 1 / 4, 1 / 2)


def prune_channels(
    found: ChannelGroups,
    *,
    measure: Callable[[Subject], float],
    part: float | None = None,
    limit: float | None = None,
    unit: str,
    tolerance: Mapping[str, float] | None = None,
    multiple: int = 4,
    most: float = 0.9,
    halvings: int = _COUNTED_HALVINGS,
    timed: bool = False,
) -> tuple[Subject, dict[str, Any]]:
    """Take channels until the model keeps to a budget.

    Args:
        measure: the model's size in `unit`, such as its MACs or its measured latency.
        part: of the whole that is kept, in (0, 1); or
        limit: what is kept at most, in `unit`. A model that keeps to it already stays whole.
        tolerance: how well the model bears less of a group, from 0 to 1; all alike where none is given.
        multiple: of channels that stay; runtimes compute several at once. A group with fewer stays whole.
        most: of a group that goes, in (0, 1).
        halvings: how closely the amount is sought.
        timed: `measure` is slow, and another number each time. What was found is measured again beside the whole model, and more
            is taken where it was luck. Otherwise single groups get channels back while the budget is kept to: all are taken
            from at once, in steps.

    Raises:
        InputError: the budget cannot be met; says how close it came and what stood in the way. Or times differ too much.
    """
    bears = _exponents(found.groups, tolerance)

    def take(share: float) -> _Taken:
        amounts = {
            group.name: group.channels - _kept(group, most * share ** bears[group.name], multiple)
            for group in found.groups
        }
        made = found.pruned(amounts)
        return _Taken(made, amounts, share, measure(made))

    def allowed(whole: float) -> float:
        return limit if limit is not None else (part or 0.0) * whole

    whole = measure(found.subject)
    if whole <= allowed(whole):
        taken = _Taken(found.subject, dict.fromkeys((group.name for group in found.groups), 0), 0.0, whole)
    else:
        taken = least_that_fits(
            take,
            measure=lambda tried: tried.size,
            limit=allowed(whole),
            most=1.0,
            what=unit,
            stands_in_the_way=_in_the_way(found, most, multiple),
            whole=whole,
            halvings=halvings,
        )
    if timed:
        whole, taken = _timed_again(found, taken, take, measure, allowed)
    else:
        # The group that bears least first.
        order = sorted(found.groups, key=lambda group: -bears[group.name])
        taken = _given_back(found, taken, order, multiple, measure, allowed(whole))
    amounts = taken.amounts
    groups = {
        group.name: {"before": group.channels, "after": group.channels - amounts[group.name]} for group in found.groups
    }
    return taken.subject, {
        "budget": {"unit": unit, "part": part, "limit": limit, "before": whole, "after": taken.size},
        "groups": groups,
        "left": dict(found.left),
    }


@dataclass(frozen=True, slots=True)
class _Taken:
    """A pruned model.

    Attributes:
        amounts: how many channels of each group are gone.
        share: of what may go, that is gone.
        size: as it was measured.
    """

    subject: Subject
    amounts: dict[str, int]
    share: float
    size: float


def _timed_again(
    found: ChannelGroups,
    taken: _Taken,
    take: Callable[[float], _Taken],
    measure: Callable[[Subject], float],
    allowed: Callable[[float], float],
) -> tuple[float, _Taken]:
    """Measure the whole model and the pruned one by turns, and take more where the budget was met by luck.

    Returns:
        The whole model's size, and what was taken, both as they were measured together.
    """
    for more in (*_TAKEN_AGAIN, None):
        whole, size = measure(found.subject), measure(taken.subject)
        if taken.subject is found.subject:
            # One model, measured twice: the smaller time has less of what else the machine did.
            whole = size = min(whole, size)
        if size <= allowed(whole):
            return whole, replace(taken, size=size)
        if more is not None:
            taken = take(taken.share + (1 - taken.share) * more)
    raise InputError(
        f"The budget of {allowed(whole):.4g} ms was met once, and not when it was measured again: {size:.4g} of {whole:.4g} ms.",
        hint="Let nothing else run on this machine meanwhile, allow more, or give the budget in `macs`.",
    )


def _given_back(
    found: ChannelGroups,
    taken: _Taken,
    order: Sequence[ChannelGroup],
    multiple: int,
    measure: Callable[[Subject], float],
    limit: float,
) -> _Taken:
    """Return channels to groups, one step of each after the other, as long as the model keeps to the budget."""
    open_groups = [group.name for group in order if taken.amounts[group.name]]
    while open_groups:
        left = []
        for name in open_groups:
            amounts = {**taken.amounts, name: max(0, taken.amounts[name] - multiple)}
            made = found.pruned(amounts)
            if (size := measure(made)) <= limit:
                taken = _Taken(made, amounts, taken.share, size)
                if amounts[name]:
                    left.append(name)
        open_groups = left
    return taken


def _exponents(groups: tuple[ChannelGroup, ...], tolerance: Mapping[str, float] | None) -> dict[str, float]:
    """Return for each group how late it gives way: 1 for that which bears most."""
    if not tolerance:
        return {group.name: 1.0 for group in groups}
    known = {group.name: max(_LEAST_TOLERANCE, tolerance.get(group.name, 1.0)) for group in groups}
    best = max(known.values(), default=1.0)
    return {name: best / value for name, value in known.items()}


def _kept(group: ChannelGroup, ratio: float, multiple: int) -> int:
    wanted = math.ceil(group.channels * (1 - ratio) / multiple - 1e-9) * multiple
    return min(group.channels, max(multiple, wanted))


def _in_the_way(found: ChannelGroups, most: float, multiple: int) -> str:
    stays = f"of each group {1 - most:.0%} and a multiple of {multiple} channels stay"
    if not found.left:
        return stays
    named = "; ".join(f"{name}: {why}" for name, why in list(found.left.items())[:_NAMED])
    more = f"; and {len(found.left) - _NAMED} more" if len(found.left) > _NAMED else ""
    return f"{stays}, and these stay whole: {named}{more}"


def prune_pass(settings: Prune, subject: Subject, bench: Workbench) -> PassDone:
    """Take channels until the model keeps to the budget of the settings."""
    found = find_groups(subject, settings.skip)
    if not found.groups:
        raise InputError(
            f"No channel of the model can go: {_in_the_way(found, settings.most, settings.multiple)}.",
            hint="Leave `prune` out of the recipe.",
        )
    rows = bench.sensitivity(found, bench.kept)
    made, record = prune_channels(
        found,
        measure=_measure(settings, bench),
        part=settings.latency if settings.latency is not None else settings.macs,
        limit=next((one for one in (settings.max_macs, settings.max_ms, settings.max_bytes) if one is not None), None),
        unit=_unit(settings),
        tolerance={row.name: row.tolerance for row in rows},
        multiple=settings.multiple,
        most=settings.most,
        # Each measurement of a time is a conversion.
        halvings=_MEASURED_HALVINGS if settings.timed else _COUNTED_HALVINGS,
        timed=settings.timed,
    )
    return PassDone(made, {**record, "sensitivity": [row.model_dump(mode="json") for row in rows]})


def _measure(settings: Prune, bench: Workbench) -> Callable[[Subject], float]:
    if settings.timed:
        return lambda tried: bench.latency_ms(tried, settings.runtime)
    return stored_bytes if settings.max_bytes is not None else total_macs


def _unit(settings: Prune) -> str:
    if settings.timed:
        return f"ms on {settings.runtime or 'the target'}"
    return "bytes" if settings.max_bytes is not None else "MACs"
