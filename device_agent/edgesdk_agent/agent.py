"""The agent: its parts, wired once, run until told to stop.

    cameras → pipeline → reporter → queue → link → broker

Start: model, cameras, link, pipeline; a part that cannot start ends the others. Stop: cameras first, then what is in
flight is finished, reported and delivered, then the link says goodbye.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from edgesdk_agent.agent_identity import identity_of
from edgesdk_agent.agent_queue import GOODBYE_S, deliver_rest, keep_queue, open_queue
from edgesdk_agent.camera_reports import CameraReports
from edgesdk_agent.cameras.camera import Camera, counts_of
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.several import absent_cameras, open_cameras
from edgesdk_agent.config.camera import CameraSection
from edgesdk_agent.config.data_folders import data_folders
from edgesdk_agent.config.root import AgentConfig
from edgesdk_agent.delivery.agent_hooks import AgentHooks
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.evidence.agent_pictures import AgentPictures
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.health.facts import OutboxFacts
from edgesdk_agent.health.watchdog import EXIT_STALLED
from edgesdk_agent.link_settings import LinkSettings
from edgesdk_agent.logs.start import current_logs
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.oversight import Oversight, Watched, broker_state, queue_numbers
from edgesdk_agent.pipeline.policy import Policy, policies_for
from edgesdk_agent.presence import Presence
from edgesdk_agent.reporter import Reporter
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.steering.beginning import Beginning
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.running_model import bundle_name
from edgesdk_agent.steering.steering import Steering
from edgesdk_agent.summary import run_summary
from edgesdk_agent.telemetry_sample import telemetry_sample
from edgesdk_agent.vitals import VitalsReader
from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.messages import Sample
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.events.scenes import Scenes


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
        mqtt: report to the broker; without it results are only counted.
    """

    def __init__(
        self, beginning: Beginning, *, version: str, model: Callable[[ExitStack], Model], mqtt: bool = True
    ) -> None:
        self._given_model = model
        self._version = version
        self._mqtt = mqtt
        self._pipeline: Pipeline | None = None
        self._hooks: AgentHooks | None = None
        self._camera_reports: CameraReports | None = None
        self._scenes: Scenes | None = None
        self._pictures: AgentPictures | None = None
        self._error: EdgeError | None = None
        self._live_link: Any = None
        self._oversight: Oversight | None = None
        # Whoever counts something is added here; telemetry, status and metrics read it.
        self.counts = CountRegistry()
        self._lost_before = 0
        self._trust = ClockTrust()
        self._hands = AgentSteering(beginning, mqtt=mqtt)
        self._vitals = VitalsReader(*data_folders(self.config))
        self._steering: Steering | None = None
        self.queue = open_queue(self.config, mqtt=mqtt)

    @property
    def config(self) -> AgentConfig:
        return self._hands.loaded.config

    def run(self, stop: threading.Event, duration_s: float | None = None) -> dict[str, Any]:
        """Run until `stop` is set or every source has ended, and return the summary.

        Args:
            duration_s: stop by itself so long after the cameras are read; loading and tuning do not count.

        Raises:
            EdgeError: a part could not start, or failed for good.
        """
        self.config.governor.check_bundles()
        with ExitStack() as stack:
            logs = LogBook()
            logs.open()
            stack.callback(logs.close)
            model = stack.enter_context(self._hands.running).load(self.config, self._given_model)
            cameras = self._open_cameras(stack)
            reporter = self._reporter()
            self._camera_reports = CameraReports(cameras, reporter.event if self._mqtt else None)
            for name, camera in cameras.items():
                self.counts.add("camera", counts_of(camera).numbers, camera=name)
            keep_queue(self.queue, reporter, self.counts, stack)
            pipeline = self._pipeline = self._make_pipeline(model, cameras, reporter, stack)
            steering = self._steering = self._hands.steering(pipeline, reporter, logs, self.queue)
            # Whatever else fails: what loads a model meanwhile is waited for before models are closed.
            stack.callback(steering.stop)
            self.counts.add("commands", steering.counts)
            self.counts.add("link_inbox", self._hands.inbox.counts)
            link = self._link(model, cameras, pipeline.policies, stack)
            if self._mqtt:
                for name, reason in model.choice.failed:
                    reporter.event("variant_failed", "warning", f"{name}: {reason}")
                for name, loss in absent_cameras(cameras).items():
                    reporter.event(loss.code, "warning", loss.message, camera=name)
                reporter.start()
            self._oversight = self._hands.oversight = oversight = self._look_after(model, cameras, reporter, link)
            stack.callback(oversight.close)
            try:
                steering.start()
                pipeline.start()
                oversight.start()
                end = math.inf if duration_s is None else time.monotonic() + duration_s
                while (left := end - time.monotonic()) > 0:
                    if stop.wait(min(_POLL_S, left)) or self._hands.restart.is_set() or pipeline.wait(0):
                        break
            finally:
                began = time.monotonic()
                steering.request_stop()
                oversight.stop(again=self._hands.goes_on and not stop.is_set())
                self._kept_pictures.request_stop()
                pipeline.stop(_STOP_PIPELINE_S)
                self._kept_pictures.finish()
                steering.stop()
                if link is not None:
                    reporter.stop()
                    deliver_rest(self.queue, link, self.config.mqtt.flush_timeout_s, began)
        if self._error is not None:
            raise self._error
        if self._hooks is not None:
            self._hooks.check_stages()
        return self.summary()

    @property
    def restart_wanted(self) -> bool:
        """Whether the run ended so that another one begins."""
        return self._hands.restart.is_set()

    def reload(self) -> None:
        """Read the configuration again, soon, and apply what changed, all or nothing; may be called by a signal."""
        if self._steering is not None:
            self._steering.reload()

    def leave(self) -> None:
        """Say goodbye to the broker now, whatever else is under way, and wait a second for it at most."""
        if self._live_link is not None:
            # On a thread of its own: whoever was interrupted for this may hold what the link needs.
            thread = threading.Thread(target=self._live_link.stop, args=(GOODBYE_S,), daemon=True)
            thread.start()
            thread.join(GOODBYE_S)

    def summary(self) -> dict[str, Any]:
        """Return what happened so far, with the stable keys of `--json`."""
        counts = self.queue.counts()
        sent = {
            "delivered": dict(counts.delivered),
            "lost": counts.lost,
            "undelivered": counts.pending + counts.in_flight,
        }
        if self.queue.durable:
            sent["restored"] = dict(counts.restored)
        stats = self._running.stats()
        summary = {
            **run_summary(stats, self._vitals.read()),
            "reports": sent,
            "variant": self._hands.running.model.variant.id,
        }
        if self._camera_reports is not None:
            summary["camera_states"] = {name: health.state for name, health in self._camera_reports.health().items()}
        if self._hooks is not None and (hooks := self._hooks.counts()):
            summary["hooks"] = hooks
        if self._scenes is not None:
            summary["events"] = self._scenes.counts()
        if self._pictures is not None:
            summary |= self._pictures.summary(stats)
        return summary

    @property
    def _running(self) -> Pipeline:
        assert self._pipeline is not None  # noqa: S101  (asked for by what runs beside it, and after it)
        return self._pipeline

    @property
    def _kept_pictures(self) -> AgentPictures:
        assert self._pictures is not None  # noqa: S101  (made with the pipeline)
        return self._pictures

    def _open_cameras(self, stack: ExitStack) -> dict[str, Camera]:
        sections = self.config.cameras
        cameras = open_cameras(
            {section.name: partial(_opened, section) for section in sections},
            one_must=any(section.require_at_start for section in sections),
        )
        for name, camera in cameras.items():
            stack.callback(camera.close)
            if camera.info.decoder:
                log.info("%s is decoded by %s", name, camera.info.decoder)
        return cameras

    def _make_pipeline(
        self, model: Model | Chain, cameras: Mapping[str, Camera], reporter: Reporter, stack: ExitStack
    ) -> Pipeline:
        asked: dict[str, Policy] = {c.name: c.mode for c in self.config.cameras if c.mode != "auto"}
        policies = policies_for(cameras, asked)
        if self.config.events is not None:
            from edgesdk_agent.events.agent_scenes import scenes_for  # who has no rules does not pay for them

            self._scenes = scenes_for(self.config.events, model, cameras, reporter if self._mqtt else None)
            self.counts.add("scenes", self._scenes.counts)
        self._hooks = hooks = AgentHooks(
            self.config,
            reporter if self._mqtt else _only_count,
            lossless=set(policies.values()) == {"every_frame"},
            reporter=reporter if self._mqtt else None,
            scenes=self._scenes,
        )
        tell = reporter.event if self._mqtt else _only_count
        self._pictures = pictures = AgentPictures(self.config, model, tell)
        pictures.start(stack, self.counts)
        self._hands.snapshot, self._hands.evidence = pictures.commands.snapshot, pictures.commands
        self._hands.appliers["frame_data"] = lambda loaded: pictures.gates.take_numbers(loaded.config.frame_data)
        if self._scenes is not None:
            from edgesdk_agent.events.agent_scenes import scenes_applier

            self._scenes.evidence = pictures.of_events
            self._hands.appliers["scenes"] = scenes_applier(self._scenes, self._hands.running, cameras)
        return Pipeline(
            model,
            cameras,
            on_result=pictures.door(hooks.delivery, hooks_take_pictures=hooks.needs_images),
            policy=policies,
            keep_image=hooks.needs_images or pictures.needed,
            picture_stages=pictures.stages,
            on_frame=hooks.on_frame,
            on_error=partial(self._failed, reporter),
            on_camera_error=partial(self._camera_failed, reporter),
        )

    def _camera_failed(self, reporter: Reporter, camera: str, error: EdgeError) -> None:
        """Tell at once that a camera is given up; the others go on."""
        if self._camera_reports is not None:
            self._camera_reports.given_up(camera)
        if self._mqtt:
            reporter.event(error.code, "error", error.message, camera=camera)

    def _failed(self, reporter: Reporter, error: EdgeError) -> None:
        """Note what ended the pipeline, and tell it, unless it was told as a camera's."""
        log.error("%s %s", error.message, error.hint)
        self._error = error
        self._hands.failed = error.message
        if self._mqtt and error not in self._running.camera_errors.values():
            reporter.event(error.code, "error", error.message)

    def _reporter(self) -> Reporter:
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

    def _look_after(
        self, model: Model | Chain, cameras: Mapping[str, Camera], reporter: Reporter, link: Any
    ) -> Oversight:
        logs = current_logs()
        self.counts.add("log", logs.troubles.counts)
        self.counts.add("reports", partial(queue_numbers, self.queue))
        watched = Watched(
            config=lambda: self.config,
            pipeline=self._running,
            model=model,
            cameras=cameras,
            paused=self._hands.paused,
            # One of its own: what is read "since the last time" has a reader each.
            vitals=VitalsReader(*data_folders(self.config)),
            counts=self.counts,
            tell=reporter.event if self._mqtt else _only_count,
            broker=None if link is None else partial(broker_state, link),
            outbox=None if link is None else self._outbox_facts,
            model_taken=lambda taken: reporter.set_bundle(bundle_name(taken)),
            end=self._end_stalled,
            trust=self._trust,
            troubles=logs.troubles.last,
            errors_per_minute=logs.troubles.errors_per_minute,
        )
        return Oversight(watched, version=self._version)

    def _end_stalled(self) -> None:
        """End at once, with a code that says why: what stands still would not let an orderly end happen."""
        self.leave()
        os._exit(EXIT_STALLED)

    def _outbox_facts(self) -> OutboxFacts:
        counts = self.queue.counts()
        waiting, lost = counts.pending + counts.in_flight, sum(counts.lost.values())
        lost, self._lost_before = lost - self._lost_before, lost
        return OutboxFacts(self.queue.fullness, waiting, lost)

    def _sample(self) -> Sample:
        interval = self._running.interval_stats()
        return telemetry_sample(
            at=time.time(),
            interval=interval,
            totals=self._running.stats(),
            vitals=self._vitals.read(),
            queue=self.queue.counts(),
            state="" if self._oversight is None else self._oversight.state,
            cameras={} if self._camera_reports is None else self._camera_reports.health(),
            counts=self.counts.flat(),
        )

    def _link(
        self, model: Model | Chain, cameras: Mapping[str, Camera], policies: Mapping[str, Policy], stack: ExitStack
    ) -> Any:
        if not self._mqtt:
            return None
        from edgesdk_agent.link import Link

        mqtt = self.config.mqtt
        identity = identity_of(self._hands.loaded, self._version, model, cameras, policies, self._hands.report)
        presence = self._hands.presence = Presence(
            identity, epoch=self.queue.epoch, next_seq=lambda: self.queue.next_seq, clock_trusted=self._trust.now
        )
        settings = LinkSettings(
            client_id=mqtt.client_id,
            keepalive_s=mqtt.keepalive_s,
            will_delay_s=mqtt.will_delay_s,
            connect_timeout_s=mqtt.connect_timeout_s,
        )
        link = Link(mqtt.address(), self.queue, presence, tls=mqtt.tls(), settings=settings, inbox=self._hands.inbox)
        self._live_link = self._hands.link = link
        if self._pictures is not None:
            self._pictures.publish_by(self.config.device.node, self.queue, self._hands.inbox.say, link.status)
        stack.callback(link.stop)
        link.start(require_within_s=mqtt.start_timeout_s if mqtt.require_at_start else None)
        return link


def _opened(section: CameraSection, must_open: bool) -> Camera:
    return open_camera(
        section.source, **_source_options(section), must_open=must_open, supervision=section.supervise.limits()
    )


def _source_options(section: CameraSection) -> dict[str, Any]:
    given = {
        "live": section.live,
        "fps": section.fps,
        "detect_fps": section.detect_fps,
        "decoder": section.decoder,
        "loop": section.loop or None,
        "width": section.width,
        "height": section.height,
        "isolate": section.isolate,
    }
    return {name: value for name, value in given.items() if value is not None}


def _only_count(*_told: object, **_more: object) -> None:
    """Without a broker a result is counted by the pipeline, and that is all."""
