"""Histories of whole fleets, made by hypothesis, each of which must end as the plain model says."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from edgesdk.fleet.rollout.model import Status
from edgesdk.fleet.rollout.policy import Policy
from edgesdk_testkit.rollout_world import NEW, OLD, Way, fleet, verdict

POLICY = Policy(soak_s=200, reports=5, silent_after_s=600, baseline_s=600)
AT_REST = (Status.DONE, Status.ROLLED_BACK, Status.HALTED, Status.ABORTED)


def ways() -> st.SearchStrategy[list[Way]]:
    """Fleets in which now and then one in twenty, or many more, are bad in some way."""
    mostly_good = st.sampled_from([Way.GOOD] * 57 + [Way.SLOW] * 8 + list(Way))
    return st.one_of(
        st.lists(mostly_good, min_size=1, max_size=60),
        st.lists(st.sampled_from(list(Way)), min_size=1, max_size=12),
    )


def check_histories(count: int, *, number: int | None = None, shrink: bool = True) -> Counter[str]:
    """Let so many roll-outs come to their end, and return how often each end was.

    Args:
        number: of the sequence of histories; another one each time unless given.
        shrink: look for the smallest that does not end as it must.

    Raises:
        AssertionError: one ends otherwise than the plain model says; hypothesis shows the smallest that it finds.
    """
    ended: Counter[str] = Counter()

    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=list(Phase) if shrink else [Phase.generate], report_multiple_bugs=False,
    )  # fmt: skip
    @given(ways(), st.integers(0, 99), st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]), st.booleans())
    def check(found: list[Way], start: int, success: float, paused: bool) -> None:
        ended[_check_history(found, start, success, paused=paused).value] += 1

    (check if number is None else seed(number)(check))()
    return ended


def _check_history(found: list[Way], start: int, success: float, *, paused: bool) -> Status:
    world = fleet(found, start)
    rng = random.Random(start)
    for model in world.models.values():
        model.takes_s = rng.uniform(300, 500) if model.way is Way.SLOW else rng.uniform(20, 120)
        model.degrades_s = rng.uniform(0, 60)
    rollout = world.begun(POLICY.model_copy(update={"success": success}), key=f"r{start}")
    kinds = {name: model.way for name, model in world.models.items()}
    expected, wave = verdict(rollout, kinds)
    if paused:
        rollout = world.turn(world.turn(rollout), "pause")
        world.tick(100)
        rollout = world.turn(world.turn(rollout), "resume")
    last = world.run(rollout, until=lambda now: now.status in AT_REST)
    assert (last.status, last.wave) == (expected, wave), last.why
    for name, model in world.models.items():
        if last.devices[name].wave > last.wave:
            assert model.history == [OLD], "it was never its turn"
        elif expected is Status.ROLLED_BACK:
            assert model.executing == OLD
        else:
            assert (model.executing == NEW) is (not kinds[name].is_bad)
    return last.status
