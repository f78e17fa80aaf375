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


def lanes_wanted(policies: Sequence[Policy], lanes: int, *, on_caller: bool = False) -> int:
    """Return how many inferences to keep under way.

    Where nothing is lost, one more than can run at a time: while a lane hands its result over, the runtime has its next
    input already. Where the newest picture counts, an input that waits in the runtime would only grow old; and where lanes compute
    themselves on every core, one more would only take its core from another.

    Args:
        policies: one for each camera.
        lanes: of the model; of one alone, as where a frame's answer depends on the frame before, there is never more.
        on_caller: whether the lane that asks the model does all of its work.
    """
    one_more = lanes > 1 and "freshest" not in policies and not (on_caller and _have_every_core(lanes))
    return lanes + 1 if one_more else lanes


def lanes_prepare(fresh: int, lanes: int, *, on_caller: bool) -> bool:
    """Return whether lanes prepare what they infer: a thread beside lanes that have every core would take one from them.

    Args:
        fresh: cameras of which the newest picture counts; they are better prepared for while the model is at work.
        lanes: inferences at a time.
        on_caller: whether lanes compute themselves.
    """
    return on_caller and not fresh and _have_every_core(lanes)


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
