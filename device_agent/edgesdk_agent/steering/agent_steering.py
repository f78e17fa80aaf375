"""The running agent, as steering sees it: what takes changes on, how the device does, and who is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from edgesdk_agent.agent_identity import config_hash, hardware
from edgesdk_agent.commands.controls import Evidence
from edgesdk_agent.config.loading import LoadedConfig
from edgesdk_agent.config.overlay import Layer
from edgesdk_agent.config.secrets import hide_secrets
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.link.inbox import Inbox
from edgesdk_agent.link.presence import Presence
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.steering.beginning import Beginning
from edgesdk_agent.steering.health_mark import Mark
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.running_model import RunningModel
from edgesdk_agent.steering.steering import Steered, Steering
from edgesdk_agent.steering.surroundings import Applier
from edgesdk_targets.messages import DesiredReport

if TYPE_CHECKING:
    from edgesdk_agent.oversight import Oversight
    from edgesdk_agent.update.asking import Ask

log = logging.getLogger(__name__)


class AgentSteering:
    """Gives steering its hands on one run of the agent.

    Args:
        beginning: the configuration, and what was set from afar.
        mqtt: whether there is somebody to tell.

    Attributes:
        loaded: what is in effect; running: the model; report: what became of the desired state.
        restart: set where another run shall begin; failed: what ended the pipeline.
        presence, link, oversight: given once they are there.
    """

    def __init__(self, beginning: Beginning, *, mqtt: bool) -> None:
        self._beginning = beginning
        self._mqtt = mqtt
        self.loaded = beginning.loaded
        self.running = RunningModel()
        self.inbox = Inbox()
        self.report = DesiredReport()
        self.restart = threading.Event()
        self.failed = ""
        self.presence: Presence | None = None
        self.link: Any = None
        self.oversight: Oversight | None = None
        self.snapshot: Callable[[str, float], dict[str, JsonValue]] | None = None
        self.evidence: Evidence | None = None
        # By the parts' names in `config.change`: what takes changes on beside the model and the reports.
        self.appliers: dict[str, Applier] = {}

    @property
    def file(self) -> str | Path | None:
        """The configuration's file."""
        return self._beginning.source.path

    @property
    def layer(self) -> Layer:
        """What was set from afar."""
        return self._beginning.file.now.layer

    @property
    def goes_on(self) -> bool:
        """Whether another run of this process follows an end that nobody asked for: it takes back what was on trial."""
        return self.restart.is_set() or self._beginning.file.now.trial is not None

    def paused(self) -> frozenset[str]:
        """Return the cameras that are paused from afar."""
        return frozenset(self._beginning.file.now.layer.paused)

    def steering(self, pipeline: Pipeline, reporter: Reporter, logs: LogBook, queue: Any) -> Steering:
        """Return what steers the agent; `queue` is that of the reports."""

        def tell(
            name: str,
            severity: Literal["info", "warning", "error"],
            message: str,
            *,
            data: dict[str, JsonValue] | None = None,
        ) -> None:
            if self._mqtt:
                reporter.event(name, severity, message, data=data)

        def take_over(loaded: LoadedConfig) -> None:
            oversight, running = self.oversight, self.running
            assert oversight is not None  # noqa: S101  (steering begins after it was made)
            with oversight.model_held():
                idle = running.take_over(loaded.config, pipeline, announce=reporter.set_bundle)
                oversight.model_replaced(running.model, loaded.config, idle=idle)
            model, bundle = running.model, running.bundle
            self.say_again(
                bundle=bundle,
                previous_bundle=running.previous,
                target=model.variant.target,
                variant=model.variant.id,
                runtime=model.runtime.value,
            )
            tell("bundle_swapped", "info", f"{bundle.name} {bundle.version}")

        def set_rates(loaded: LoadedConfig) -> None:
            telemetry = loaded.config.telemetry
            reporter.set_rates(
                interval_s=telemetry.interval_s,
                samples_per_message=telemetry.samples_per_message,
                max_results_per_s=loaded.config.mqtt.max_results_per_s,
            )

        def mark() -> Mark:
            return Mark(
                processed=pipeline.stats().processed,
                failed=self.failed,
                lost_cameras=frozenset(pipeline.camera_errors),
                connected=self.link is None or self.link.status().connected,
            )

        steered = Steered(
            pipeline=pipeline,
            appliers={"model": take_over, "reporting": set_rates, **self.appliers},
            mark=mark,
            event=tell,
            restart=self._restart_soon,
            changed=self._changed,
            bundle_differs=self.running.differs,
            say_again=self.say_again,
            report=self._reported,
            snapshot=self.snapshot,
            evidence=self.evidence,
            ask_update=None if self.loaded.config.update is None else self._asking(),
        )
        return Steering(
            self._beginning, steered, self.inbox, epoch=queue.epoch, next_seq=lambda: queue.next_seq, logs=logs
        )

    def say_again(self, **changes: object) -> None:
        """Say birth, state and what is installed again, with what changed."""
        if self.presence is not None:
            self.presence.change(**changes)
        if self.link is not None:
            self.link.refresh()

    def _changed(self, loaded: LoadedConfig) -> None:
        self.loaded = loaded
        hide_secrets(loaded.config)
        self.say_again(config_hash=config_hash(loaded), hardware=hardware(self.file, self.layer))

    def _reported(self, report: DesiredReport) -> None:
        self.report = report
        self.say_again(desired=report)

    def _asking(self) -> Ask | None:
        from edgesdk_agent.update.asking import asked_here  # whose bundle stays does not pay for it

        return asked_here()

    def _restart_soon(self, why: str) -> None:
        log.info("Starts again: %s", why)
        self.restart.set()
