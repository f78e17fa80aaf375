"""User code that is called and not awaited is a plain function: of any other kind a call does nothing yet."""

from __future__ import annotations

import inspect

from edgesdk_targets.errors import InputError

_HINT = "Give a plain `def`. Under asyncio take results by `async for`; `asyncio.run_coroutine_threadsafe` hands work to a loop."


def check_plain(function: object, name: str) -> None:
    """Refuse an `async def` and a function that yields: they would seem to be called each time, and never run.

    Args:
        name: of the user code, for the message.

    Raises:
        InputError: it is one of these.
    """
    for called in (function, getattr(type(function), "__call__", None)):  # noqa: B004  (whose kind is asked, too)
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
            raise InputError(f"{name} is an `async def`, which nobody here would await.", hint=_HINT)
        if inspect.isgeneratorfunction(called):
            raise InputError(f"{name} yields, so that a call of it runs nothing.", hint=_HINT)
