"""The parts of one run of an agent, made and wired: cameras, model, pipeline, steering, link. None of them is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk_agent.agent_cameras import AgentCameras
from edgesdk_agent.agent_identity import camera_names, identity_of
from edgesdk_agent.agent_link import make_link
from edgesdk_agent.agent_queue import keep_queue
from edgesdk_agent.agent_results import AgentResults
from edgesdk_agent.agent_updates import begin_updates
from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.link.reporter import Reporter
from edgesdk_agent.metrics.registry import CountRegistry
from edgesdk_agent.pipeline.policy import Policy, policies_for
from edgesdk_agent.steering.agent_steering import AgentSteering
from edgesdk_agent.steering.log_book import LogBook
from edgesdk_agent.steering.steering import Steering
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.messages import Sample
from edgesdk_targets.model import Model

if TYPE_CHECKING:
    from edgesdk_agent.link.link import Link
    from edgesdk_agent.outbox.outbox import Outbox
    from edgesdk_agent.timeline.timeline import Timeline


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What a run consists of; the link is None where nothing is told to a broker."""

    cameras: AgentCameras
    reporter: Reporter
    results: AgentResults
    pipeline: Pipeline
    steering: Steering
    link: Link | None


@dataclass(frozen=True, slots=True)
class AgentWiring:
    """Makes the parts.

    Attributes:
        hands, queue, counts, trust: of the run; the parts are given to them.
        version, model, cameras, mqtt, profile: as `Agent` says.
    """

    hands: AgentSteering
    queue: ReportQueue | Outbox
    counts: CountRegistry
    trust: ClockTrust
    version: str
    model: Callable[[ExitStack], Model]
    cameras: Mapping[str, Camera]
    mqtt: bool
    profile: Timeline | None

    def wire(
        self,
        stack: ExitStack,
        *,
        on_error: Callable[[EdgeError], None],
        on_camera_error: Callable[[str, EdgeError], None],
        sample: Callable[[], Sample],
    ) -> AgentParts:
        """Make every part; what is opened for one is closed by `stack`.

        Args:
            on_error, on_camera_error: as of a pipeline.
            sample: gives what telemetry says.

        Raises:
            EdgeError: a part cannot be made as it is configured.
        """
        hands, config = self.hands, self.hands.loaded.config
        logs = LogBook()
        logs.open()
        stack.callback(logs.close)
        model = stack.enter_context(hands.running).load(config, self.model)
        reporter = self._reporter(sample)
        told = reporter if self.mqtt else None
        one_must_answer = any(camera.require_at_start for camera in config.cameras)
        cameras = AgentCameras(self.cameras, told, self.counts, one_must_answer=one_must_answer)
        asked: dict[str, Policy] = {c.name: c.mode for c in config.cameras if c.mode != "auto"}
        policies = policies_for(cameras.by_name, asked)
        keep_queue(self.queue, reporter, self.counts, stack)
        results = AgentResults(config, model, cameras.by_name, policies, told, self.counts, stack)
        results.steered_by(hands)
        pipeline = results.pipeline(
            model, cameras.by_name, policies, on_error=on_error, on_camera_error=on_camera_error, profile=self.profile
        )
        steering = hands.steering(pipeline, reporter, logs, self.queue)
        # Whatever else fails: what loads a model meanwhile is waited for before models are closed.
        stack.callback(steering.stop)
        self.counts.add("commands", steering.counts)
        self.counts.add("link_inbox", hands.inbox.counts)
        link = None
        if self.mqtt:
            identity = identity_of(
                hands.loaded, self.version, model, cameras.by_name, policies, hands.report, file=hands.file,
                layer=hands.layer,
            )  # fmt: skip
            link = make_link(hands, self.queue, identity, results, clock_trusted=self.trust.now, stack=stack)
            for name, reason in model.choice.failed:
                reporter.event("variant_failed", "warning", f"{name}: {reason}")
        cameras.announce_to(lambda: hands.say_again(cameras=camera_names(cameras.by_name, policies)))
        begin_updates(
            hands, pipeline, told, link, self.counts, self.trust, stack, results.tally, steering.reload_now,
            results.shadow, pictures=results.keeps_pictures,
        )  # fmt: skip
        return AgentParts(cameras, reporter, results, pipeline, steering, link)

    def _reporter(self, sample: Callable[[], Sample]) -> Reporter:
        config = self.hands.loaded.config
        return Reporter(
            self.queue,
            config.device.node,
            snapshot=sample,
            interval_s=config.telemetry.interval_s,
            samples_per_message=config.telemetry.samples_per_message,
            max_results_per_s=config.mqtt.max_results_per_s,
            bundle=self.hands.running.bundle,
            clock_trusted=self.trust.now,
        )
