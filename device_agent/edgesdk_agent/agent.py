"""The agent: its parts, wired once, run until told to stop.

    cameras → pipeline → reporter → queue → link → broker

Build: cameras, model, pipeline, steering, link. Start: the link first, so that the fleet sees the device
while its cameras still connect, each at its own reader; a part that cannot start ends the others. Stop: cameras first,
then what is in flight is finished, reported and delivered, then the link says goodbye.
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

from edgesdk_agent.agent_cameras import AgentCameras
from edgesdk_agent.agent_identity import camera_names, identity_of
from edgesdk_agent.agent_link import make_link
from edgesdk_agent.agent_queue import GOODBYE_S, deliver_rest, keep_queue, open_queue
from edgesdk_agent.agent_results import AgentResults
from edgesdk_agent.agent_start import start_unless_stopped
from edgesdk_agent.agent_updates import begin_updates, replaced_by_launcher
from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.config.data_folders import data_folders
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.pipeline.policy import Policy, policies_for
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.steering.beginning import Beginning
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.steering import Steering
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

    # Built by `run`.
    _cameras: AgentCameras
    _reporter: Reporter
    _results: AgentResults
    _pipeline: Pipeline
    _steering: Steering | None = None
    _link: Any = None
    _oversight: Oversight | None = None

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
        self._given_cameras = cameras
        self._given_model = model
        self._version = version
        self._mqtt = mqtt
        self._profile = profile
        self._trust = ClockTrust()
        self._error: EdgeError | None = None
        # Whoever counts something is added here; telemetry, status and metrics read it.
        self.counts = CountRegistry()
        self._hands = AgentSteering(beginning, mqtt=mqtt)
        self._vitals = VitalsReader(*data_folders(self.config))
        self.queue = open_queue(self.config, mqtt=mqtt)

    @property
    def config(self) -> AgentConfig:
        return self._hands.loaded.config

    @property
    def restart_wanted(self) -> bool:
        """Whether the run ended so that another one begins."""
        return self._hands.restart.is_set()

    def run(self, stop: threading.Event, duration_s: float | None = None) -> dict[str, Any]:
        """Run until `stop` is set or every source has ended, and return the summary.

        Args:
            duration_s: stop by itself so long after the cameras are read; loading and tuning do not count.

        Raises:
            EdgeError: a part could not start, or failed for good.
        """
        self.config.governor.check_bundles()
        with ExitStack() as stack:
            steering = self._build(stack)
            self._connect()
            try:
                if self._start(steering, stack, stop):
                    self._stay(stop, duration_s)
            finally:
                self._end(steering, for_good=stop.is_set())
        if self._error is not None:
            raise self._error
        self._results.check_stages()
        return self.summary()

    def reload(self) -> None:
        """Read the configuration again, soon, and apply what changed, all or nothing; may be called by a signal."""
        if self._steering is not None:
            self._steering.reload()

    def leave(self) -> None:
        """Say goodbye to the broker now, whatever else is under way, and wait a second for it at most."""
        if self._link is not None:
            # On a thread of its own: whoever was interrupted for this may hold what the link needs.
            thread = threading.Thread(target=self._link.stop, args=(GOODBYE_S,), daemon=True)
            thread.start()
            thread.join(GOODBYE_S)

    def summary(self) -> dict[str, Any]:
        """Return what happened so far, with the stable keys of `--json`."""
        from edgesdk_agent.summary import reports_summary, run_summary

        stats = self._pipeline.stats()
        return {
            **run_summary(stats, self._vitals.read()),
            "reports": reports_summary(self.queue.counts(), durable=self.queue.durable),
            "variant": self._hands.running.model.variant.id,
            "camera_states": {name: health.state for name, health in self._cameras.reports.health().items()},
            **self._results.summary(stats),
        }

    # --- one run

    def _build(self, stack: ExitStack) -> Steering:
        """Make every part; what is opened for one is closed by `stack`."""
        hands, config = self._hands, self.config
        logs = LogBook()
        logs.open()
        stack.callback(logs.close)
        model = stack.enter_context(hands.running).load(config, self._given_model)
        reporter = self._reporter = self._make_reporter()
        told = reporter if self._mqtt else None
        one_must_answer = any(camera.require_at_start for camera in config.cameras)
        cameras = self._cameras = AgentCameras(self._given_cameras, told, self.counts, one_must_answer=one_must_answer)
        asked: dict[str, Policy] = {c.name: c.mode for c in config.cameras if c.mode != "auto"}
        policies = policies_for(cameras.by_name, asked)
        keep_queue(self.queue, reporter, self.counts, stack)
        results = self._results = AgentResults(config, model, cameras.by_name, policies, told, self.counts, stack)
        results.steered_by(hands)
        pipeline = self._pipeline = results.pipeline(
            model, cameras.by_name, policies, on_error=self._failed, on_camera_error=self._camera_failed,
            profile=self._profile,
        )  # fmt: skip
        steering = self._steering = hands.steering(pipeline, reporter, logs, self.queue)
        # Whatever else fails: what loads a model meanwhile is waited for before models are closed.
        stack.callback(steering.stop)
        self.counts.add("commands", steering.counts)
        self.counts.add("link_inbox", hands.inbox.counts)
        if self._mqtt:
            identity = identity_of(
                hands.loaded, self._version, model, cameras.by_name, policies, hands.report, file=hands.file,
                layer=hands.layer,
            )  # fmt: skip
            self._link = make_link(hands, self.queue, identity, results, clock_trusted=self._trust.now, stack=stack)
            for name, reason in model.choice.failed:
                reporter.event("variant_failed", "warning", f"{name}: {reason}")
        cameras.announce_to(lambda: hands.say_again(cameras=camera_names(cameras.by_name, policies)))
        begin_updates(
            hands, pipeline, told, self._link, self.counts, self._trust, stack, results.tally, steering.reload_now,
            results.shadow, pictures=results.keeps_pictures,
        )  # fmt: skip
        return steering

    def _connect(self) -> None:
        if self._link is not None:
            mqtt = self.config.mqtt
            self._link.start(require_within_s=mqtt.start_timeout_s if mqtt.require_at_start else None)
            self._reporter.start()

    def _start(self, steering: Steering, stack: ExitStack, stop: threading.Event) -> bool:
        """Start what was built, and say whether it runs; it does not where `stop` came first."""
        steering.resume()
        if not start_unless_stopped(self._pipeline, stop):
            return False
        # What looks after a pipeline is not loaded before there is one: the first result does not wait for it.
        from edgesdk_agent.agent_oversight import make_oversight

        oversight = make_oversight(
            self._hands, self._pipeline, self._cameras.by_name, self._reporter, self._link, self.queue, self.counts,
            version=self._version, trust=self._trust, end=self._end_stalled,
        )  # fmt: skip
        stack.callback(oversight.close)
        self._oversight = oversight
        steering.start()
        oversight.start()
        return True

    def _stay(self, stop: threading.Event, duration_s: float | None) -> None:
        """Wait for an end: told to stop or to start again, the time is over, the sources are, or something failed."""
        end = math.inf if duration_s is None else time.monotonic() + duration_s
        while (left := end - time.monotonic()) > 0 and self._error is None:
            if stop.wait(min(_POLL_S, left)) or self._hands.restart.is_set() or self._pipeline.wait(0):
                return
            if (loss := self._cameras.none_answers()) is not None:
                self._failed(loss)

    def _end(self, steering: Steering, *, for_good: bool) -> None:
        began = time.monotonic()
        steering.request_stop()
        if self._oversight is not None:
            again = replaced_by_launcher() or (self._hands.goes_on and not for_good)
            self._oversight.stop(again=again)
        pictures = self._results.pictures
        pictures.request_stop()
        self._pipeline.stop(_STOP_PIPELINE_S)
        pictures.finish()
        steering.stop()
        if self._link is not None:
            self._reporter.stop()
            deliver_rest(self.queue, self._link, self.config.mqtt.flush_timeout_s, began)

    # --- what happens meanwhile

    def _camera_failed(self, camera: str, error: EdgeError) -> None:
        """Tell at once that a camera is given up; the others go on, unless its configuration is at fault."""
        if self._cameras.given_up(camera, error):
            self._error = error

    def _failed(self, error: EdgeError) -> None:
        """Note what ended the pipeline, and tell it, unless it was told as a camera's."""
        log.error("%s %s", error.message, error.hint)
        self._error = error
        self._hands.failed = error.message
        if self._mqtt and error not in self._pipeline.camera_errors.values():
            self._reporter.event(error.code, "error", error.message)

    def _end_stalled(self) -> None:
        """End at once, with a code that says why: what stands still would not let an orderly end happen."""
        from edgesdk_agent.health.watchdog import EXIT_STALLED

        self.leave()
        os._exit(EXIT_STALLED)

    def _make_reporter(self) -> Reporter:
        config = self.config
        return Reporter(
            self.queue,
            config.device.node,
            snapshot=self._sample,
            interval_s=config.telemetry.interval_s,
            samples_per_message=config.telemetry.samples_per_message,
            max_results_per_s=config.mqtt.max_results_per_s,
            bundle=self._hands.running.bundle,
            clock_trusted=self._trust.now,
        )

    def _sample(self) -> Sample:
        from edgesdk_agent.telemetry_sample import telemetry_sample

        interval = self._pipeline.interval_stats()
        return telemetry_sample(
            at=time.time(),
            interval=interval,
            totals=self._pipeline.stats(),
            vitals=self._vitals.read(),
            queue=self.queue.counts(),
            state="" if self._oversight is None else self._oversight.state,
            cameras=self._cameras.reports.health(),
            counts=self.counts.flat(),
        )
