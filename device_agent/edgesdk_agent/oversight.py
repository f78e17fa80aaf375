"""Everything that looks after a running agent, wired once: health, watchdog, governor, status and metrics.

It reads what the agent's parts count, and stands in nobody's way; the agent starts it after the pipeline and stops it first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_agent.cameras.camera import Camera, health_of
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.governor.held_model import HeldModel
from edgesdk_agent.health.assessment import Assessment
from edgesdk_agent.health.camera_rates import CameraRates
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.health.facts import Facts, OutboxFacts
from edgesdk_agent.health.facts_reader import CameraSource, FactSources, FactsReader
from edgesdk_agent.health.monitor import Hands, Monitor
from edgesdk_agent.health.sd_notify import ServiceManager
from edgesdk_agent.health.status import StatusSources, StatusTeller
from edgesdk_agent.health.watchdog import Watchdog
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.metrics.agent_metrics import MetricsSources, open_metrics
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.vitals import VitalsReader
from edgesdk_targets.chain import Chain
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.governor.agent_governor import AgentGovernor
    from edgesdk_agent.outbox.outbox import Outbox

# All of them: nobody sends the status anywhere.
_COUNTS_IN_STATUS = 1000


@dataclass(frozen=True, slots=True)
class Watched:
    """The agent's parts.

    Attributes:
        config: in effect now.
        paused: the cameras that are not to bring anything.
        tell: reports an event.
        broker: whether it is connected, and the problem if not; None without a broker.
        outbox: what waits; None without a broker.
        model_taken: is told a model that the governor let take over.
        end: ends the process, as the pipeline stands still.
        trust: judges the wall clock.
        troubles: the last warnings and errors of the log; errors_per_minute: in it.
    """

    config: Callable[[], AgentConfig]
    pipeline: Pipeline
    model: Model | Chain
    cameras: Mapping[str, Camera]
    paused: Callable[[], frozenset[str]]
    vitals: VitalsReader
    counts: CountRegistry
    tell: Callable[..., None]
    broker: Callable[[], tuple[bool, str]] | None
    outbox: Callable[[], OutboxFacts] | None
    model_taken: Callable[[Model], None]
    end: Callable[[], None]
    trust: ClockTrust
    troubles: Callable[[], list[str]] = list
    errors_per_minute: Callable[[], int] = int


class Oversight:
    """Looks after one run of the agent; the sections `health`, `governor` and `metrics` of its start say what is done.

    Args:
        watched: the agent's parts.
        version: of edgesdk, for the status.

    Raises:
        InputError: the metrics' address is taken.
    """

    def __init__(self, watched: Watched, *, version: str) -> None:
        config = watched.config()
        self._watched = watched
        self._manager = ServiceManager()
        self._rates = CameraRates(watched.cameras, watched.config)
        self._reader = FactsReader(self._sources(), trust=watched.trust)
        self._model = HeldModel(watched.pipeline, watched.model)
        self._governor = self._make_governor(config)
        health = config.health
        may_end = health.watchdog == "exit" or (health.watchdog == "auto" and self._manager.listens)
        self.monitor = Monitor(
            self._reader.read,
            Hands(tell=watched.tell, show=self._show, mend=self._model.mend, end=watched.end),
            limits=health.limits(),
            watchdog=None if health.watchdog == "off" else Watchdog(health.patience(), may_end=may_end),
            manager=self._manager,
            interval_s=health.interval_s,
        )
        self._status = StatusTeller(
            config.device.name, version, self._status_sources(), enabled=config.health.status_file
        )
        self._endpoint = open_metrics(config.metrics, self._metrics_sources())

    @property
    def state(self) -> str:
        """`online`, or `degraded` while a check is not well."""
        return self.monitor.state

    def model_held(self) -> AbstractContextManager[None]:
        """Let nobody else change the model meanwhile."""
        return self._model.held()

    def model_replaced(self, model: Model | Chain, config: AgentConfig, *, idle: bool) -> None:
        """Go on with another model of the start; to be called with the model held.

        Args:
            config: that asked for it.
            idle: what ran before has done its last frame.
        """
        self._model.now = model
        if self._governor is not None:
            self._governor.model_replaced(model, Path(config.bundle), config, idle=idle)

    def start(self) -> None:
        """Begin to look; the pipeline must have been started."""
        self._status.open()
        self.monitor.start()
        if self._endpoint is not None:
            self._endpoint.start()

    def stop(self, *, again: bool = False) -> None:
        """End, before the pipeline does: one that stops is not one that stands still.

        Args:
            again: another run of the same process follows.
        """
        self.monitor.stop(again=again)
        if self._endpoint is not None:
            self._endpoint.close()

    def close(self) -> None:
        """Give back what the governor loaded; the pipeline must have ended."""
        if self._governor is not None:
            self._governor.close()

    def _sources(self) -> FactSources:
        watched = self._watched
        pipeline = watched.pipeline
        return FactSources(
            totals=pipeline.stats,
            recent=pipeline.span().read,
            vitals=watched.vitals.read,
            cameras={
                name: CameraSource(
                    partial(self._rates.of, name),
                    camera.info.live,
                    partial(_state_of, camera),
                    partial(_age_budget_ms, watched.config, name),
                )
                for name, camera in watched.cameras.items()
            },
            failed=lambda: {name: error.message for name, error in pipeline.camera_errors.items()},
            paused=watched.paused,
            left_out=pipeline.left_out,
            broker=watched.broker,
            outbox=watched.outbox,
            errors_per_minute=watched.errors_per_minute,
        )

    def _make_governor(self, config: AgentConfig) -> AgentGovernor | None:
        if not config.governor.enabled:
            return None
        from edgesdk_agent.governor.agent_governor import AgentGovernor  # off by default

        watched = self._watched
        governor = AgentGovernor(
            config, watched.pipeline, self._model, self._rates.live, watched.tell, watched.model_taken
        )
        watched.counts.add("governor_steps", governor.counts)
        return governor

    def _status_sources(self) -> StatusSources:
        watched = self._watched
        return StatusSources(
            state=lambda: self.state,
            frames=lambda: watched.pipeline.stats().to_json(),
            counts=partial(watched.counts.flat, most=_COUNTS_IN_STATUS),
            vitals=lambda: self._reader.last_vitals,
            governor=lambda: None if self._governor is None else self._governor.status(),
            troubles=watched.troubles,
        )

    def _metrics_sources(self) -> MetricsSources:
        watched = self._watched
        return MetricsSources(
            totals=watched.pipeline.stats,
            recent=lambda: self._reader.recent,
            vitals=lambda: self._reader.last_vitals,
            last=lambda: self.monitor.last,
            counts=watched.counts.read,
        )

    def _show(self, assessment: Assessment, facts: Facts) -> None:
        if self._governor is not None:
            self._governor.look(facts)
        self._status.tell(assessment, facts)


def broker_state(link: Any) -> tuple[bool, str]:
    """Return whether a link is connected, and the problem if not."""
    status = link.status()
    return status.connected, "" if status.problem is None else status.problem.message


def queue_numbers(queue: ReportQueue | Outbox) -> dict[str, int]:
    """Return what became of the reports, by what and kind."""
    counts = queue.counts()
    told = {"put": counts.put, "delivered": counts.delivered, "dropped": counts.dropped, "refused": counts.refused}
    return {f"{what}.{kind}": n for what, kinds in told.items() for kind, n in kinds.items()}


def _age_budget_ms(config: Callable[[], AgentConfig], name: str) -> float | None:
    return next((camera.age_budget_ms for camera in config().cameras if camera.name == name), None)


def _state_of(camera: Camera) -> str:
    """Return what a camera's supervision says of it; a camera without one is online while it brings pictures."""
    return health_of(camera).state
