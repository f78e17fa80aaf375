"""Everything that looks after a running agent, wired once: health, watchdog, governor, status and metrics.

It reads what the agent's parts count, and stands in nobody's way; the agent starts it after the pipeline and stops it first.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_agent.cameras.camera import Camera, health_of
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.governor.governor import Governor
from edgesdk_agent.governor.model_swap import ModelSwap
from edgesdk_agent.governor.pipeline_actuator import PipelineActuator
from edgesdk_agent.health.assessment import Assessment
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.health.facts import Facts, OutboxFacts
from edgesdk_agent.health.facts_reader import CameraSource, FactSources, FactsReader
from edgesdk_agent.health.monitor import Hands, Monitor, Severity
from edgesdk_agent.health.sd_notify import ServiceManager
from edgesdk_agent.health.status_file import own_folder, process_ticks, status_folder, write_status
from edgesdk_agent.health.thread_dump import dump_on_signal
from edgesdk_agent.health.watchdog import Watchdog
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.report_queue import ReportQueue
from edgesdk_agent.vitals import VitalsReader
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)

_MEND_WITHIN_S = 10.0
_USUAL_FPS = 30.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The agent's parts.

    Attributes:
        tell: reports an event.
        broker: whether it is connected, and the problem if not; None without a broker.
        outbox: what waits; None without a broker.
        model_taken: is told a model that the governor let take over.
        end: ends the process, as the pipeline stands still.
        trust: judges the wall clock.
        troubles: the last warnings and errors of the log; errors_per_minute: in it.
    """

    pipeline: Pipeline
    model: Model | Chain
    cameras: Mapping[str, Camera]
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
    """Looks after one run of the agent.

    Args:
        config: its sections `health`, `governor` and `metrics` say what is done.
        watched: the agent's parts.
        version: of edgesdk, for the status.

    Raises:
        InputError: the metrics' address is taken.
    """

    def __init__(self, config: AgentConfig, watched: Watched, *, version: str) -> None:
        self._config = config
        self._watched = watched
        self._version = version
        self._manager = ServiceManager()
        self._rates = _rates(config, watched.cameras)
        self._reader = FactsReader(self._sources(), trust=watched.trust)
        # What takes over at the same moment from two sides would close what the other one uses.
        self._model_lock = threading.RLock()
        self._model = watched.model
        self._swap: ModelSwap | None = None
        self._actuator: PipelineActuator | None = None
        self._governor = self._make_governor()
        self.monitor = Monitor(
            self._reader.read,
            Hands(tell=self._tell, show=self._show, mend=self._mend, end=watched.end),
            limits=config.health.limits(),
            watchdog=None
            if config.health.watchdog == "off"
            else Watchdog(config.health.patience(), may_end=self._may_end),
            manager=self._manager,
            interval_s=config.health.interval_s,
        )
        self._status_broken = False
        self._threads_file = ""
        self._endpoint = self._make_endpoint()

    @property
    def state(self) -> str:
        """`online`, or `degraded` while a check is not well."""
        return self.monitor.state

    @contextmanager
    def model_held(self) -> Iterator[None]:
        """Let nobody else change the model meanwhile."""
        with self._model_lock:
            yield

    def model_replaced(self, model: Model | Chain, bundle: Path, *, idle: bool) -> None:
        """Go on with another model of the start; to be called with the model held.

        Args:
            idle: what ran before has done its last frame.
        """
        self._model = model
        if self._swap is not None and isinstance(model, Model):
            self._swap.begin_with(model, bundle)
        if self._actuator is not None:
            self._actuator.begin_again(close=idle)

    def start(self) -> None:
        """Begin to look; the pipeline must have been started."""
        self._threads_file = self._register_dump()
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
        if self._actuator is not None:
            self._actuator.close()

    @property
    def _may_end(self) -> bool:
        asked = self._config.health.watchdog
        return asked == "exit" or (asked == "auto" and self._manager.listens)

    def _sources(self) -> FactSources:
        watched = self._watched
        pipeline = watched.pipeline
        return FactSources(
            totals=pipeline.stats,
            recent=pipeline.span().read,
            vitals=watched.vitals.read,
            cameras={
                name: CameraSource(self._rates[name], camera.info.live, partial(_state_of, camera))
                for name, camera in watched.cameras.items()
            },
            failed=lambda: {name: error.message for name, error in pipeline.camera_errors.items()},
            broker=watched.broker,
            outbox=watched.outbox,
            errors_per_minute=watched.errors_per_minute,
        )

    def _make_governor(self) -> Governor | None:
        config, watched = self._config, self._watched
        if not config.governor.enabled:
            return None
        swap = self._swap = None
        if isinstance(watched.model, Model):
            swap = self._swap = ModelSwap(
                watched.pipeline,
                watched.model,
                config.bundle,
                threads=config.pipeline.threads or 0,
                probe_s=config.pipeline.probe_timeout_s,
                on_taken=watched.model_taken,
                held=self.model_held,
            )
        live = {name: self._rates[name] or _USUAL_FPS for name, camera in watched.cameras.items() if camera.info.live}
        self._actuator = PipelineActuator(watched.pipeline, live, config.governor.important, swap, self._tell)
        governor = Governor(config.governor.settings(config.health.age_budget_ms), self._actuator, self._tell)
        watched.counts.add("governor_steps", governor.counts)
        return governor

    def _make_endpoint(self) -> Any:
        section = self._config.metrics
        if section.port is None:
            return None
        from edgesdk_agent.metrics.endpoint import MetricsEndpoint

        return MetricsEndpoint(self._metrics, self._healthy, host=section.host, port=section.port)

    def _metrics(self) -> str:
        from edgesdk_agent.metrics import families
        from edgesdk_agent.metrics.exposition import text_of

        watched, last, reader = self._watched, self.monitor.last, self._reader
        return text_of(
            [
                *families.frame_families(watched.pipeline.stats(), reader.recent),
                *([] if reader.last_vitals is None else families.vitals_families(reader.last_vitals)),
                *([] if last is None else families.health_families(last)),
                *families.count_families(watched.counts.read()),
            ]
        )

    def _healthy(self) -> bool:
        last = self.monitor.last
        return last is None or not any(one.check == "inference_advancing" and one.level > 1 for one in last.findings)

    def _tell(self, name: str, severity: Severity, message: str, *, camera: str = "") -> None:
        self._watched.tell(name, severity, message, camera=camera)

    def _show(self, assessment: Assessment, facts: Facts) -> None:
        if self._governor is not None:
            self._governor.look(facts)
        if not self._config.health.status_file:
            return
        try:
            write_status(status_folder(), self._config.device.name, self.status(assessment, facts))
        except (OSError, ValueError) as error:
            # Once: a full disk must not fill the log as well.
            if not self._status_broken:
                log.warning("The status cannot be written: %s", error)
            self._status_broken = True

    def _register_dump(self) -> str:
        """Let a support bundle ask what each thread does."""
        if not self._config.health.status_file:
            return ""
        try:
            file = own_folder(status_folder()) / f"{self._config.device.name}.threads.txt"
            dump_on_signal(file)
        except (OSError, ValueError) as error:
            log.debug("Nobody can ask what the threads do: %s", error)
            return ""
        return str(file)

    def status(self, assessment: Assessment, facts: Facts) -> dict[str, Any]:
        """Return what `edgesdk-agent status` shows."""
        watched = self._watched
        vitals = self._reader.last_vitals
        return {
            "schema": "status/1",
            "device": self._config.device.name,
            "version": self._version,
            "pid": os.getpid(),
            "started_ticks": process_ticks(os.getpid()),
            "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "clock_trusted": facts.clock is None or facts.clock.trusted,
            "uptime_s": round(facts.uptime_s, 1),
            "state": self.state,
            "level": assessment.level.word,
            "age_p95_ms": facts.age_p95_ms,
            "findings": [finding.to_json() for finding in assessment.findings],
            "frames": watched.pipeline.stats().to_json(),
            "governor": None
            if self._governor is None
            else {"rung": self._governor.place, "gives_up": self._governor.in_force},
            "counts": watched.counts.flat(most=1000),
            "broker": None if facts.broker is None else asdict(facts.broker),
            "vitals": None if vitals is None else vitals.to_json(),
            "threads_file": self._threads_file,
            "troubles": watched.troubles()[-20:],
        }

    def _mend(self) -> None:
        """Give the inference stage fresh inputs, and wake every thread of it; a runtime that hangs is not mended by it."""
        pipeline = self._watched.pipeline

        def swap() -> None:
            try:
                if not self._model_lock.acquire(timeout=_MEND_WITHIN_S / 2):
                    log.warning("The model is being changed; the inference stage is left alone")
                    return
                try:
                    pipeline.swap_model(self._model, _MEND_WITHIN_S / 2)
                finally:
                    self._model_lock.release()
                log.warning("The inference stage was started again")
            except EdgeError as error:
                log.warning("The inference stage could not be started again: %s", error.message)
            except Exception:  # the thread's top: the watchdog ends the process if this did not mend it
                log.exception("The inference stage could not be started again")

        # It may hang as well, and the monitor must not.
        threading.Thread(target=swap, name="edgesdk-mend", daemon=True).start()


def broker_state(link: Any) -> tuple[bool, str]:
    """Return whether a link is connected, and the problem if not."""
    status = link.status()
    return status.connected, "" if status.problem is None else status.problem.message


def queue_numbers(queue: ReportQueue | Outbox) -> dict[str, int]:
    """Return what became of the reports, by what and kind."""
    counts = queue.counts()
    told = {"put": counts.put, "delivered": counts.delivered, "dropped": counts.dropped, "refused": counts.refused}
    return {f"{what}.{kind}": n for what, kinds in told.items() for kind, n in kinds.items()}


def _rates(config: AgentConfig, cameras: Mapping[str, Camera]) -> dict[str, float | None]:
    """Return the pictures a second that are wanted of each camera, as far as that is known."""
    asked = {section.name: section.detect_fps for section in config.cameras}
    rates: dict[str, float | None] = {}
    for name, camera in cameras.items():
        known = [rate for rate in (camera.info.fps, asked.get(name)) if rate]
        rates[name] = min(known, default=None)
    return rates


def _state_of(camera: Camera) -> str:
    """Return what a camera's supervision says of it; a camera without one is online while it brings pictures."""
    return health_of(camera).state
