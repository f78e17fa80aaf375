"""What a hook may be given: how many results may wait for it, what happens when it is slow, and how long it may take."""

from __future__ import annotations

from typing import Literal, get_args

from edgesdk_targets.errors import InputError

WhenFull = Literal["wait", "drop_oldest"]

MOST_WAITING = 10_000
LONGEST_CALL_S = 3600.0


def check_limits(*, queue: int, when_full: WhenFull, timeout_s: float) -> None:
    """Check what a hook is given, before anything is made for it.

    Args:
        queue: how many results may wait for it.
        when_full: the policy; see `hand_off`.
        timeout_s: for one result.

    Raises:
        InputError: a value is out of its bounds.
    """
    if when_full not in get_args(WhenFull):
        raise InputError(f"There is no policy {when_full!r}.", hint=f"One of {', '.join(get_args(WhenFull))}.")
    if not isinstance(queue, int) or not 1 <= queue <= MOST_WAITING:
        raise InputError(
            f"{queue!r} results are not able to wait for a hook.",
            hint=f"Give queue 1 or more, and at most {MOST_WAITING}.",
        )
    check_timeout("A hook", "timeout_s", timeout_s)


def check_timeout(who: str, name: str, timeout_s: float) -> None:
    """Check how long a call of user code may take.

    Raises:
        InputError: it is out of its bounds.
    """
    if not isinstance(timeout_s, (int, float)) or not 0 < timeout_s <= LONGEST_CALL_S:  # NaN is neither
        raise InputError(
            f"{who} cannot have {timeout_s!r} s for a call.",
            hint=f"Give {name} more than 0, and at most {LONGEST_CALL_S:g}.",
        )
