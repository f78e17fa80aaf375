"""How a stage is to be run, as values, and what runs it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.hook_limits import WhenFull, check_limits
from edgesdk_agent.delivery.hook_settings import load_hook, name_of
from edgesdk_agent.delivery.inline import delivery_of
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.delivery.watched_calls import USUAL_TIMEOUT_S
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    # Each of them is loaded by who wants it.
    from edgesdk_agent.delivery.frame_filter import FrameFilter
    from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter
    from edgesdk_agent.delivery.result_filter import FilteredDelivery
    from edgesdk_agent.delivery.result_filter_process import ProcessFilteredDelivery

StageIsolation = Literal["inline", "process"]


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How a stage is run.

    Attributes:
        isolate: `inline` costs nothing but its own time, on a thread of the pipeline; `process` protects the pipeline from all
            that it may do.
        timeout_s: for one call; one that takes longer is told, and where it is in a process, that is ended and started again.
        folder: where to look for its module after everything else.
        queue: of a stage after the model in a process: how many results may wait for it.
        when_full: likewise: `wait` holds the pipeline, as long as the stage does not hang; `drop_oldest` never holds it.

    Raises:
        InputError: a value is none of these.
    """

    isolate: StageIsolation = "inline"
    timeout_s: float = USUAL_TIMEOUT_S
    folder: Path | None = None
    queue: int = 8
    when_full: WhenFull = "wait"

    def __post_init__(self) -> None:
        if self.isolate not in get_args(StageIsolation):
            message = f"There is no isolation {self.isolate!r} of a stage."
            raise InputError(message, hint=f"One of {', '.join(get_args(StageIsolation))}.")
        check_limits(queue=self.queue, when_full=self.when_full, timeout_s=self.timeout_s)


def frame_filter(
    stage: str | Callable[[Frame], Array | None],
    settings: StageSettings | None = None,
    *,
    name: str = "",
    on_news: Callable[[HookNews], None] | None = None,
) -> FrameFilter | ProcessFrameFilter:
    """Return what runs a stage before the model in this way, for `Pipeline(on_frame=…)`.

    Args:
        stage: a function, or `package.module:function`.
        settings: how; the defaults unless given.
        name: for the log and for `on_news`; by the stage unless given.
        on_news: is told each change of the stage's state.

    Raises:
        InputError: there is no such function.
    """
    given = settings or StageSettings()
    name = name or name_of(stage)
    if given.isolate == "process":
        from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter

        return ProcessFrameFilter(stage, name=name, timeout_s=given.timeout_s, folder=given.folder, on_news=on_news)
    from edgesdk_agent.delivery.frame_filter import FrameFilter

    function = load_hook(stage, given.folder)
    return FrameFilter(function, name=name, timeout_s=given.timeout_s, on_news=on_news)


def filtered_delivery(
    stage: str | Callable[[FrameResult], FrameResult | None],
    on_result: Callable[[FrameResult], object] | Delivery,
    settings: StageSettings | None = None,
    *,
    name: str = "",
    on_news: Callable[[HookNews], None] | None = None,
) -> FilteredDelivery | ProcessFilteredDelivery:
    """Return what runs a stage after the model in this way, and delivers what it lets through, for `Pipeline(on_result=…)`.

    Args:
        stage: a function, or `package.module:function`.
        on_result: gets what comes through: a function, or a delivery.
        settings: how; the defaults unless given.
        name: for the log and for `on_news`; by the stage unless given.
        on_news: is told each change of the stage's state.

    Raises:
        InputError: there is no such function.
    """
    given = settings or StageSettings()
    name, delivery = name or name_of(stage), delivery_of(on_result)
    if given.isolate == "process":
        from edgesdk_agent.delivery.result_filter_process import ProcessFilteredDelivery

        return ProcessFilteredDelivery(
            stage,
            delivery,
            name=name,
            timeout_s=given.timeout_s,
            queue=given.queue,
            when_full=given.when_full,
            folder=given.folder,
            on_news=on_news,
        )
    from edgesdk_agent.delivery.result_filter import FilteredDelivery

    function = load_hook(stage, given.folder)
    return FilteredDelivery(function, delivery, name=name, timeout_s=given.timeout_s, on_news=on_news)
