"""What may be lost and who waits, and how many preallocated slots that takes.

- `freshest` bounds the age of what is reported: a newer frame replaces the one that the next stage did not take yet,
  and each that is replaced is counted. The camera is never made to wait.
- `every_frame` loses nothing: a full pipeline makes the source wait.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

from edgesdk_agent.cameras.camera import Camera
from edgesdk_targets.errors import InputError

# Inferences that a thread has under way where it may start one before the last is over: one computes, the other is there when
# it ends. Four for one thread are as fast, and would leave a core idle where frames come singly.
UNDER_WAY = 2

Policy = Literal["freshest", "every_frame"]
POLICIES: tuple[Policy, ...] = ("freshest", "every_frame")


def policy_for(asked: str | None, *, live: bool) -> Policy:
    """Return the policy that is asked for, or the one that fits the camera.

    Raises:
        InputError: there is no such policy.
    """
    if asked is None:
        return "freshest" if live else "every_frame"
    for policy in POLICIES:
        if policy == asked:
            return policy
    raise InputError(f"There is no policy {asked!r}.", hint=f"One of {', '.join(POLICIES)}.")


def policies_for(cameras: Mapping[str, Camera], asked: Policy | Mapping[str, Policy] | None) -> dict[str, Policy]:
    """Return each camera's policy: what is asked for, or what fits the camera.

    Raises:
        InputError: there is no such policy, or no such camera.
    """
    by_name = asked if isinstance(asked, Mapping) else dict.fromkeys(cameras, asked)
    if unknown := sorted(set(by_name) - set(cameras)):
        raise InputError(f"There is no camera {unknown[0]!r}.", hint=f"One of {', '.join(cameras)}.")
    return {name: policy_for(by_name.get(name), live=camera.info.live) for name, camera in cameras.items()}


def lanes_wanted(policies: Sequence[Policy], lanes: int, *, on_caller: bool = False, starts_ahead: bool = False) -> int:
    """Return how many inferences to keep under way.

    Where nothing is lost, more than can run at a time: while a result is handed over, the runtime has its next input already. One
    more, and twice as many where they can be started ahead, which costs no thread. Where the newest picture counts, an input
    that waits in the runtime would only grow old; and where lanes compute themselves on every core, one more would only take its
    core from another.

    Args:
        policies: one for each camera.
        lanes: of the model; of one alone, as where a frame's answer depends on the frame before, there is never more.
        on_caller: whether the lane that asks the model does all of its work.
        starts_ahead: whether a thread may start an inference before the one before it is over.
    """
    if lanes == 1 or "freshest" in policies or (on_caller and _have_every_core(lanes)):
        return lanes
    return UNDER_WAY * lanes if starts_ahead else lanes + 1


def lanes_prepare(fresh: int, lanes: int, *, on_caller: bool, ahead: bool) -> bool:
    """Return whether lanes prepare what they infer.

    A thread beside lanes that have every core would take one from them; and where inferences are started ahead, the model has its
    next inputs while a lane prepares one more.

    Args:
        fresh: cameras of which the newest picture counts; they are better prepared for while the model is at work.
        lanes: inferences at a time.
        on_caller: whether lanes compute themselves.
        ahead: whether inferences are started ahead.
    """
    return ahead or (on_caller and not fresh and _have_every_core(lanes))


def _have_every_core(lanes: int) -> bool:
    return lanes >= len(os.sched_getaffinity(0))


def slots_wanted(policies: Sequence[Policy], lanes: int = 1) -> int:
    """Return how many slots let every thread work without waiting for another; fewer work too, with less overlap.

    Each lane infers one and one is being prepared. Of each `freshest` camera one more stands ready to be replaced. Where
    frames queue and several lanes may end at the same moment, one more is ready for the second of them.

    Args:
        policies: one for each camera.
        lanes: inferences at a time.
    """
    fresh = policies.count("freshest")
    queued = 0 if fresh == len(policies) else (1 if fresh or lanes > 1 else 0)
    return lanes + 1 + fresh + queued
