"""How a hook is to be run, as values, and the delivery that runs it so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.hand_off import WhenFull
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.process import ProcessDelivery
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
    """

    isolate: Isolation = "process"
    queue: int = 8
    when_full: WhenFull = "wait"
    timeout_s: float = 5.0
    folder: Path | None = None


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
    queue, when_full, timeout_s, folder = settings.queue, settings.when_full, settings.timeout_s, settings.folder
    if settings.isolate == "process":
        return ProcessDelivery(
            hook, name=name, queue=queue, when_full=when_full, timeout_s=timeout_s, folder=folder, on_news=on_news
        )
    function = _loaded(hook, folder) if isinstance(hook, str) else hook
    if settings.isolate == "thread":
        return ThreadDelivery(
            function, name=name, queue=queue, when_full=when_full, timeout_s=timeout_s, on_news=on_news
        )
    if settings.isolate != "inline":
        raise InputError(f"There is no isolation {settings.isolate!r}.", hint="One of process, thread, inline.")
    return InlineDelivery(function, name=name, on_news=on_news)


def _loaded(hook: str, folder: Path | None) -> Callable[[FrameResult], object]:
    try:
        return HookName.parse(hook).load(folder)
    except EdgeError:
        raise
    except Exception as error:  # a plug-in's border: its import may raise anything
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        where = f"Is its folder named? Python looks in {len(sys.path)} places."
        raise InputError(f"The hook {hook} cannot be used: {what}", hint=where) from error
