"""How a hook is to be run, as values, and the delivery that runs it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.hook_limits import WhenFull, check_limits
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.plain_function import check_plain
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import InputError

Isolation = Literal["process", "thread", "inline"]


@dataclass(frozen=True, slots=True)
class HookSettings:
    """How a hook is run.

    In a configuration `folder` is its `hooks_path`, and `pictures` is the hook's `image`.

    Attributes:
        isolate: `process` protects the pipeline from all it may do; `thread` from its waiting; `inline` from its errors.
        queue: how many results may wait for it.
        when_full: `wait` holds the pipeline, as long as the hook does not hang; `drop_oldest` never holds it. Which of
            them `auto` is in a configuration, its cameras say; here there are none to ask.
        timeout_s: for one result; a hook that takes longer is told, and where it is a process, ended and started again.
        folder: where to look for its module after everything else.
        pictures: give it those that the pipeline keeps.

    Raises:
        InputError: a value is none of these.
    """

    isolate: Isolation = "process"
    queue: int = 8
    when_full: WhenFull = "wait"
    timeout_s: float = 5.0
    folder: Path | None = None
    pictures: bool = True

    def __post_init__(self) -> None:
        if self.isolate not in get_args(Isolation):
            raise InputError(
                f"There is no isolation {self.isolate!r}.", hint=f"One of {', '.join(get_args(Isolation))}."
            )
        check_limits(queue=self.queue, when_full=self.when_full, timeout_s=self.timeout_s)


def hook_delivery(
    hook: str | Callable[[FrameResult], object],
    settings: HookSettings | None = None,
    *,
    name: str = "",
    on_news: Callable[[HookNews], None] | None = None,
) -> Delivery:
    """Return what runs a hook in this way.

    Args:
        hook: a function, or `package.module:function`.
        settings: how; the defaults unless given.
        name: for the log and for `on_news`; by the hook unless given.
        on_news: is told each change of the hook's state.

    Raises:
        InputError: there is no such hook.
    """
    name = name or name_of(hook)
    given = settings or HookSettings()
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
    function = load_hook(hook, given.folder)
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
    return InlineDelivery(function, name=name, timeout_s=given.timeout_s, on_news=on_news)


def name_of(hook: str | Callable[..., object]) -> str:
    """Return what a hook is called in the log and in news, unless it is given a name."""
    return hook if isinstance(hook, str) else getattr(hook, "__qualname__", type(hook).__qualname__)


def load_hook(hook: str | Callable[..., Any], folder: Path | None) -> Callable[..., Any]:
    """Import a hook into this process; a function is there already.

    Raises:
        InputError: its module cannot be imported, or has no such function; or it is an `async def`.
    """
    if isinstance(hook, str):
        return HookName.parse(hook).load(folder)
    check_plain(hook, name_of(hook))
    return hook
