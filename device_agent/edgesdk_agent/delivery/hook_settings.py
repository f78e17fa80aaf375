"""How a hook is to be run, as values, and the delivery that runs it so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.hand_off import WhenFull
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import EdgeError, InputError

Isolation = Literal["process", "thread", "inline"]


@dataclass(frozen=True, slots=True)
class HookSettings:
    """How a hook is run.

    Attributes:
        isolate: `process` protects the pipeline from all it may do; `thread` from its waiting; `inline` from its errors.
        queue: how many results may wait for it.
        when_full: `wait` loses nothing and holds the pipeline; `drop_oldest` never holds it.
        timeout_s: for one result; a hook that takes longer is told, and where it is a process, ended and started again.
        folder: where to look for its module after everything else.
        pictures: give it those that the pipeline keeps.
    """

    isolate: Isolation = "process"
    queue: int = 8
    when_full: WhenFull = "wait"
    timeout_s: float = 5.0
    folder: Path | None = None
    pictures: bool = True


def hook_delivery(
    hook: str | Callable[[FrameResult], object],
    settings: HookSettings,
    *,
    name: str = "",
    on_news: Callable[[HookNews], None] | None = None,
) -> Delivery:
    """Return what runs a hook in this way.

    Args:
        hook: a function, or `package.module:function`.
        settings: how.
        name: for the log and for `on_news`; by the hook unless given.
        on_news: is told each change of the hook's state.

    Raises:
        InputError: there is no such hook, or a setting is unknown.
    """
    name = name or (hook if isinstance(hook, str) else getattr(hook, "__qualname__", type(hook).__qualname__))
    given = settings
    if given.isolate == "process":
        # An agent without such a hook does not pay for what it needs.
        from edgesdk_agent.delivery.process import ProcessDelivery

        return ProcessDelivery(
            hook,
            name=name,
            queue=given.queue,
            when_full=given.when_full,
            timeout_s=given.timeout_s,
            folder=given.folder,
            pictures=given.pictures,
            on_news=on_news,
        )
    function = load_hook(hook, given.folder) if isinstance(hook, str) else hook
    if given.isolate == "thread":
        return ThreadDelivery(
            function,
            name=name,
            queue=given.queue,
            when_full=given.when_full,
            timeout_s=given.timeout_s,
            pictures=given.pictures,
            on_news=on_news,
        )
    if given.isolate != "inline":
        raise InputError(f"There is no isolation {given.isolate!r}.", hint="One of process, thread, inline.")
    return InlineDelivery(function, name=name, on_news=on_news)


def load_hook(hook: str, folder: Path | None) -> Callable[..., Any]:
    """Import a hook into this process.

    Raises:
        InputError: its module cannot be imported, or has no such function.
    """
    try:
        return HookName.parse(hook).load(folder)
    except EdgeError:
        raise
    except Exception as error:  # a plug-in's border: its import may raise anything
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        where = f"Is its folder named? Python looks in {len(sys.path)} places."
        raise InputError(f"The hook {hook} cannot be used: {what}", hint=where) from error
