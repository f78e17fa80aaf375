"""The agent: its parts, wired once, run until told to stop.

    cameras → pipeline → reporter → queue → link → broker

Start: the link first, so that the fleet sees the device while its cameras still connect, each at its own reader; a part
that cannot start ends the others. Stop: cameras first, then what is in flight is finished, reported and delivered, then
the link says goodbye.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from edgesdk_agent.agent_parts import AgentParts, AgentWiring
from edgesdk_agent.agent_queue import GOODBYE_S, deliver_rest, open_queue
from edgesdk_agent.agent_start import start_unless_stopped
from edgesdk_agent.agent_updates import replaced_by_launcher
from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.data_folders import data_folders
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.steering.beginning import Beginning
from edgesdk_agent.stop_request import StopRequest
from edgesdk_agent.vitals import VitalsReader
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.messages import Sample
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.oversight import Oversight
    from edgesdk_agent.timeline.timeline import Timeline

log = logging.getLogger(__name__)

# A service manager may kill after ten seconds: with a hook that blocks, a stop takes these four, two more for what it
# breaks off, and a last second each for reports and the goodbye.
_STOP_PIPELINE_S = 4.0
_POLL_S = 0.2


class Agent:
    """One run of the agent.

    Args:
        beginning: the configuration, and what was set from afar.
        version: of edgesdk, for the birth message.
        model: gives the configuration's model, once it is loaded, and what closes it to a stack.
        cameras: of the configuration, by name; the caller closes them.
        mqtt: report to the broker; without it results are only counted.
        profile: records where each frame's time goes.
    """

    def __init__(
        self,
        beginning: Beginning,
        *,
        version: str,
        model: Callable[[ExitStack], Model],
        cameras: Mapping[str, Camera],
        mqtt: bool = True,
        profile: Timeline | None = None,
    ) -> None:
        self._version = version
        self._mqtt = mqtt
        self._trust = ClockTrust()
        self._error: EdgeError | None = None
        # Whoever counts something is added here; telemetry, status and metrics read it.
        self.counts = CountRegistry()
        self._hands = AgentSteering(beginning, mqtt=mqtt)
        self._vitals = VitalsReader(*data_folders(self.config))
        self.queue = open_queue(self.config, mqtt=mqtt)
        self._wiring = AgentWiring(
            self._hands, self.queue, self.counts, self._trust, version, model, cameras, mqtt, profile
        )
        # Made by `run`.
        self._made: AgentParts | None = None
        self._reload_wanted = False
        self._oversight: Oversight | None = None

    @property
    def config(self) -> AgentConfig:
        return self._hands.loaded.config

    @property
    def restart_wanted(self) -> bool:
        """Whether the run ended so that another one begins."""
        return self._hands.restart.is_set()

    def run(self, stop: StopRequest, duration_s: float | None = None) -> dict[str, Any]:
        """Run until `stop` is set or every source has ended, and return the summary.

        Args:
            duration_s: stop by itself so long after the cameras are read; loading and tuning do not count.

        Raises:
            EdgeError: a part could not start, or failed for good.
        """
        self.config.governor.check_bundles()
        with ExitStack() as stack:
            self._made = self._wiring.wire(
                stack, on_error=self._failed, on_camera_error=self._camera_failed, sample=self._sample
            )
            self._connect()
            try:
                if self._start(stack, stop):
                    self._stay(stop, duration_s)
            finally:
                self._end(for_good=stop.is_set())
        if self._error is not None:
            raise self._error
        self._parts.results.check_stages()
        return self.summary()

    def reload(self) -> None:
        """Read the configuration again, soon, and apply what changed, all or nothing; may be called by a signal."""
        if self._made is not None:
            self._made.steering.reload()
        else:
            self._reload_wanted = True

    def leave(self) -> None:
        """Say goodbye to the broker now, whatever else is under way, and wait a second for it at most."""
        if self._made is not None and self._made.link is not None:
            # On a thread of its own: whoever was interrupted for this may hold what the link needs.
            thread = threading.Thread(target=self._made.link.stop, args=(GOODBYE_S,), daemon=True)
            thread.start()
            thread.join(GOODBYE_S)

    def summary(self) -> dict[str, Any]:
        """Return what happened so far, with the stable keys of `--json`."""
        from edgesdk_agent.summary import reports_summary, run_summary, settings_summary

        parts, model = self._parts, self._hands.running.model
        stats = parts.pipeline.stats()
        return {
            **run_summary(stats, self._vitals.read()),
            "reports": reports_summary(self.queue.counts(), durable=self.queue.durable),
            "variant": model.variant.id,
            "settings": settings_summary(model),
            "camera_states": {name: health.state for name, health in parts.cameras.reports.health().items()},
            **parts.results.summary(stats),
        }

    @property
    def _parts(self) -> AgentParts:
        assert self._made is not None  # noqa: S101  (`run` makes them before anything asks)
        return self._made

    # --- one run

    def _connect(self) -> None:
        parts, mqtt = self._parts, self.config.mqtt
        if parts.link is not None:
            parts.link.start(require_within_s=mqtt.start_timeout_s if mqtt.require_at_start else None)
            parts.reporter.start()

    def _start(self, stack: ExitStack, stop: StopRequest) -> bool:
        """Start what was made, and say whether it runs; it does not where `stop` came first."""
        parts = self._parts
        parts.steering.resume()
        if self._reload_wanted:
            parts.steering.reload()
        if not start_unless_stopped(parts.pipeline, stop):
            return False
        # What looks after a pipeline is not loaded before there is one: the first result does not wait for it.
        from edgesdk_agent.agent_oversight import make_oversight

        oversight = make_oversight(
            self._hands, parts.pipeline, parts.cameras.by_name, parts.reporter, parts.link, self.queue, self.counts,
            version=self._version, trust=self._trust, end=self._end_stalled,
        )  # fmt: skip
        stack.callback(oversight.close)
        self._oversight = oversight
        parts.steering.start()
        oversight.start()
        return True

    def _stay(self, stop: StopRequest, duration_s: float | None) -> None:
        """Wait for an end: told to stop or to start again, the time is over, the sources are, or something failed."""
        parts, end = self._parts, math.inf if duration_s is None else time.monotonic() + duration_s
        while (left := end - time.monotonic()) > 0 and self._error is None:
            if stop.wait(min(_POLL_S, left)) or self._hands.restart.is_set() or parts.pipeline.wait(0):
                return
            if (loss := parts.cameras.none_answers()) is not None:
                self._failed(loss)

    def _end(self, *, for_good: bool) -> None:
        parts, began = self._parts, time.monotonic()
        parts.steering.request_stop()
        if self._oversight is not None:
            again = replaced_by_launcher() or (self._hands.goes_on and not for_good)
            self._oversight.stop(again=again)
        pictures = parts.results.pictures
        pictures.request_stop()
        parts.pipeline.stop(_STOP_PIPELINE_S)
        pictures.finish()
        parts.steering.stop()
        if parts.link is not None:
            parts.reporter.stop()
            deliver_rest(self.queue, parts.link, self.config.mqtt.flush_timeout_s, began)

    # --- what happens meanwhile

    def _camera_failed(self, camera: str, error: EdgeError) -> None:
        """Tell at once that a camera is given up; the others go on, unless its configuration is at fault."""
        if self._parts.cameras.given_up(camera, error):
            self._error = error

    def _failed(self, error: EdgeError) -> None:
        """Note what ended the pipeline, and tell it, unless it was told as a camera's."""
        log.error("%s %s", error.message, error.hint)
        self._error = error
        self._hands.failed = error.message
        if self._mqtt and error not in self._parts.pipeline.camera_errors.values():
            self._parts.reporter.event(error.code, "error", error.message)

    def _end_stalled(self) -> None:
        """End at once, with a code that says why: what stands still would not let an orderly end happen."""
        from edgesdk_agent.health.watchdog import EXIT_STALLED

        self.leave()
        os._exit(EXIT_STALLED)

    def _sample(self) -> Sample:
        from edgesdk_agent.telemetry_sample import telemetry_sample

        parts = self._parts
        return telemetry_sample(
            at=time.time(),
            interval=parts.pipeline.interval_stats(),
            totals=parts.pipeline.stats(),
            vitals=self._vitals.read(),
            queue=self.queue.counts(),
            state="" if self._oversight is None else self._oversight.state,
            cameras=parts.cameras.reports.health(),
            counts=self.counts.flat(),
        )
