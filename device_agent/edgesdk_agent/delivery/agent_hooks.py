"""From the agent's configuration to who gets its results: the reporter first, then the user's hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from edgesdk_agent.config_sections import AgentConfig, HookSection
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.each import DeliverToEach
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.hand_off import WhenFull
from edgesdk_agent.delivery.hook_settings import HookSettings, hook_delivery, load_hook
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.delivery.result_filter import FilteredDelivery
from edgesdk_agent.delivery.tally import HookNews
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.reporter import Reporter

_SEVERITIES: dict[str, Literal["info", "warning", "error"]] = {"well": "info", "given_up": "error"}


class AgentHooks:
    """The user's code in an agent, as the configuration names it.

    Args:
        config: its `stages`, `hooks` and `hooks_path`.
        report: takes every result first, in the pipeline's own thread.
        lossless: no camera may lose frames.
        reporter: is told when a hook's state changes; None without a broker.

    Raises:
        InputError: a function that runs in this process cannot be imported.
    """

    def __init__(
        self, config: AgentConfig, report: Callable[[FrameResult], object], *, lossless: bool, reporter: Reporter | None
    ) -> None:
        self._reporter = reporter
        folder = config.hooks_path
        self._hooks: dict[str, Delivery] = {}
        for section in config.hooks:
            name = section.call if section.call not in self._hooks else f"{section.call} ({len(self._hooks) + 1})"
            settings = HookSettings(
                isolate=section.isolate,
                queue=section.queue,
                when_full=_when_full(section, lossless=lossless),
                timeout_s=section.timeout_s,
                folder=folder,
                pictures=section.image,
            )
            self._hooks[name] = hook_delivery(section.call, settings, name=name, on_news=self._tell)
        taken = InlineDelivery(report, name="report", on_news=self._tell)
        self.delivery: Delivery = DeliverToEach([taken, *self._hooks.values()]) if self._hooks else taken
        stages = config.stages
        if stages.on_result is not None:
            filters = load_hook(stages.on_result, folder)
            self.delivery = FilteredDelivery(filters, self.delivery, name=stages.on_result, on_news=self._tell)
        self.on_frame: FrameFilter | None = None
        if stages.on_frame is not None:
            self.on_frame = FrameFilter(load_hook(stages.on_frame, folder), name=stages.on_frame, on_news=self._tell)
        self.needs_images = any(section.image for section in config.hooks)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return what became of each hook's results, by its name."""
        return {name: delivery.counts().to_json() for name, delivery in self._hooks.items()}

    def _tell(self, news: HookNews) -> None:
        if self._reporter is not None:
            severity = _SEVERITIES.get(news.state, "warning")
            self._reporter.event(f"hook_{news.state}", severity, news.message, data={"hook": news.hook})


def _when_full(section: HookSection, *, lossless: bool) -> WhenFull:
    if section.when_full != "auto":
        return section.when_full
    return "wait" if lossless else "drop_oldest"
