"""How a call of user code elsewhere ends other than well, and what each of these ends is counted as."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial

from edgesdk_agent.delivery.tally import Tally


class HookHung(Exception):
    """The hook did not return in its time, and was ended."""


class HookCrashed(Exception):
    """The hook's process ended."""


class HookRaised(Exception):
    """The hook raised elsewhere, or returned what it may not; the message says which, a traceback or one line."""


class HookGone(Exception):
    """There is nobody to give the frame or result to."""


class HookKeptBack(Exception):
    """What was called left the frame out, or kept the result back, on purpose."""


def count_of(error: BaseException, at: str, tally: Tally) -> Callable[[], None]:
    """Return what counts a call that ended so.

    Args:
        error: what the call raised; anything else than the above is a failure, and told with its traceback.
        at: which frame or result it was, for the message.
    """
    if isinstance(error, HookGone):
        return tally.dropped
    if isinstance(error, HookKeptBack):
        return tally.filtered
    if isinstance(error, HookHung):
        return partial(tally.hung, f"{at}: {error}")
    if isinstance(error, HookCrashed):
        return partial(tally.crashed, f"{at}: {error}")
    told = error if isinstance(error, HookRaised) else "".join(traceback.format_exception(error))
    return partial(tally.failed, f"{at}: {told}")
