"""The metrics of one run of the agent: the page that Prometheus reads, and whether the agent is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk_agent.health.assessment import Assessment
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.metrics.registry import Counted

if TYPE_CHECKING:
    from edgesdk_agent.config.metrics import MetricsSection
    from edgesdk_agent.metrics.endpoint import MetricsEndpoint
    from edgesdk_agent.vitals import Vitals


@dataclass(frozen=True, slots=True)
class MetricsSources:
    """Who is asked.

    Attributes:
        totals: of the frames since the start; recent: of the last interval, or None before its end.
        last: what the checks found last.
    """

    totals: Callable[[], FrameStats]
    recent: Callable[[], FrameStats | None]
    vitals: Callable[[], Vitals | None]
    last: Callable[[], Assessment | None]
    counts: Callable[[], list[Counted]]


def open_metrics(section: MetricsSection, sources: MetricsSources) -> MetricsEndpoint | None:
    """Return the endpoint, not started yet, or None where nobody wants it.

    Raises:
        InputError: its address is taken.
    """
    if section.port is None:
        return None
    from edgesdk_agent.metrics.endpoint import MetricsEndpoint  # who has none does not pay for a web server

    return MetricsEndpoint(
        lambda: metrics_page(sources), lambda: inference_is_well(sources.last()), host=section.host, port=section.port
    )


def metrics_page(sources: MetricsSources) -> str:
    """Return the metrics of now as text."""
    from edgesdk_agent.metrics import families
    from edgesdk_agent.metrics.exposition import text_of

    vitals, last = sources.vitals(), sources.last()
    return text_of(
        [
            *families.frame_families(sources.totals(), sources.recent()),
            *([] if vitals is None else families.vitals_families(vitals)),
            *([] if last is None else families.health_families(last)),
            *families.count_families(sources.counts()),
        ]
    )


def inference_is_well(last: Assessment | None) -> bool:
    """Say whether inference advances; what else is not well is no reason to start the agent again."""
    return last is None or not any(one.check == "inference_advancing" and one.level > 1 for one in last.findings)
