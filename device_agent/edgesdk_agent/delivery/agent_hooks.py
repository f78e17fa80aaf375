"""From the agent's configuration to who gets its results: the reporter first, then the user's hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.delivery.delivery import Delivery, DeliveryCounts
from edgesdk_agent.delivery.hook_limits import WhenFull
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.link.reporter import Reporter
from edgesdk_targets.errors import SessionFailed

if TYPE_CHECKING:
    # Who has no code of his own does not load what runs it.
    from edgesdk_agent.delivery.frame_filter import FrameFilter
    from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter
    from edgesdk_agent.delivery.result_filter import FilteredDelivery
    from edgesdk_agent.delivery.result_filter_process import ProcessFilteredDelivery
    from edgesdk_agent.events.scenes import Scenes

log = logging.getLogger(__name__)

_SEVERITIES: dict[str, Literal["info", "warning", "error"]] = {"well": "info", "given_up": "error"}


class AgentHooks:
    """The user's code in an agent, as the configuration names it.

    Args:
        config: its `stages`, `hooks` and `hooks_path`.
        report: takes every result first, in the pipeline's own thread.
        lossless: no camera may lose frames.
        reporter: is told when a hook's state changes; None without a broker.
        scenes: give everybody's results the numbers of their objects, and say which are to be reported.

    Raises:
        InputError: a function that runs in this process cannot be imported.
    """

    def __init__(
        self,
        config: AgentConfig,
        report: Callable[[FrameResult], object],
        *,
        lossless: bool,
        reporter: Reporter | None,
        scenes: Scenes | None = None,
    ) -> None:
        self._config = config
        self._reporter = reporter
        self._hooks = self._make_hooks(lossless=lossless) if config.hooks else {}
        report = report if scenes is None else scenes.reported_when_new(report)
        self.delivery: Delivery = InlineDelivery(report, name="report", on_news=self._tell)
        if self._hooks:
            from edgesdk_agent.delivery.each import DeliverToEach

            self.delivery = DeliverToEach([self.delivery, *self._hooks.values()])
        if scenes is not None:
            from edgesdk_agent.delivery.tracked import TrackedDelivery

            self.delivery = TrackedDelivery(scenes, self.delivery)
        stages = config.stages
        self._on_result: FilteredDelivery | ProcessFilteredDelivery | None = None
        self.on_frame: FrameFilter | ProcessFrameFilter | None = None
        if stages.on_result is not None or stages.on_frame is not None:
            from edgesdk_agent.delivery.stage_settings import StageSettings, filtered_delivery, frame_filter

            settings = StageSettings(
                isolate=stages.isolate,
                timeout_s=stages.timeout_s,
                folder=config.hooks_path,
                queue=stages.queue,
                when_full=_when_full(stages.when_full, lossless=lossless),
            )
            if stages.on_result is not None:
                self._on_result = filtered_delivery(stages.on_result, self.delivery, settings, on_news=self._tell)
                self.delivery = self._on_result
            if stages.on_frame is not None:
                self.on_frame = frame_filter(stages.on_frame, settings, on_news=self._tell)
        self.needs_images = any(section.image for section in config.hooks)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return what became of each result, by the name of each hook; those that no hook got are `filtered`."""
        stage = self._on_result.passed() if self._on_result is not None else DeliveryCounts()
        kept_back = stage.filtered + _lost(stage)
        return {
            name: replace(delivery.counts(), filtered=kept_back).to_json() for name, delivery in self._hooks.items()
        }

    def check_stages(self) -> None:
        """Say at the end of a run what stages lost by failing.

        Raises:
            SessionFailed: one failed each time, so that nothing came through.
        """
        stages = self._config.stages
        if self.on_frame is not None:
            _check_stage(f"{stages.on_frame}", "frames", self.on_frame.counts())
        if self._on_result is not None:
            _check_stage(f"{stages.on_result}", "results", self._on_result.passed())

    def _make_hooks(self, *, lossless: bool) -> dict[str, Delivery]:
        from edgesdk_agent.delivery.hook_settings import HookSettings, hook_delivery

        hooks: dict[str, Delivery] = {}
        for section in self._config.hooks:
            name = section.call if section.call not in hooks else f"{section.call} ({len(hooks) + 1})"
            settings = HookSettings(
                isolate=section.isolate,
                queue=section.queue,
                when_full=_when_full(section.when_full, lossless=lossless),
                timeout_s=section.timeout_s,
                folder=self._config.hooks_path,
                pictures=section.image,
            )
            hooks[name] = hook_delivery(section.call, settings, name=name, on_news=self._tell)
        return hooks

    def _tell(self, news: HookNews) -> None:
        if self._reporter is not None:
            severity = _SEVERITIES.get(news.state, "warning")
            self._reporter.event(f"{news.kind}_{news.state}", severity, news.message, data={news.kind: news.hook})


def _check_stage(name: str, what: str, counts: DeliveryCounts) -> None:
    lost = _lost(counts)
    if not lost:
        return
    how = "failed" if counts.failed else "did not return" if counts.hung else "had no time"
    log.warning(
        "%s kept back because the stage %s %s", f"{lost} {what} were" if lost > 1 else f"1 {what[:-1]} was", name, how
    )
    if not counts.delivered and not counts.filtered:
        hint = "See the first failure above, and what a stage returns in docs/hooks.md."
        raise SessionFailed(f"The stage {name} {how} with each of {lost} {what}.", hint=hint)


def _lost(stage: DeliveryCounts) -> int:
    """Return with how many a stage failed, or hung, and how many it did not see because it hung."""
    return stage.failed + stage.hung + stage.dropped


def _when_full(asked: WhenFull | Literal["auto"], *, lossless: bool) -> WhenFull:
    if asked != "auto":
        return asked
    return "wait" if lossless else "drop_oldest"
