"""Whether the threads that a user asks for fit the cores that this process may use."""

from __future__ import annotations

import os

from edgesdk_targets.errors import InputError

# So many threads on a core are no longer a question that measuring answers.
_MOST_ON_A_CORE = 4


def check_cores(threads: int, streams: int, said: str) -> str:
    """Return a warning of more threads than cores, or nothing; 0 leaves a number open.

    Args:
        said: how the user says it, with a place for each number.

    Raises:
        InputError: they are so many that it can only be a slip: a runtime would take minutes for one answer.
    """
    cores, wanted = len(os.sched_getaffinity(0)), max(1, threads) * max(1, streams)
    problem = f"{said.format(threads, streams)}: {wanted} threads on {cores} cores"
    if wanted > _MOST_ON_A_CORE * cores:
        raise InputError(
            f"{problem}.", hint=f"Give at most {_MOST_ON_A_CORE * cores} in all; more than {cores} rarely pay."
        )
    return f"{problem} wait for each other" if wanted > cores else ""
