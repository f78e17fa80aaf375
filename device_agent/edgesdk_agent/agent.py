"""The agent: its parts, wired once, run until told to stop.

    cameras → pipelines → reporter → queue → link → broker

Start: model, cameras, link, pipelines; a part that cannot start ends the others. Stop: cameras first, then what is in
flight is finished, reported and delivered, then the link says goodbye.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.config import LoadedConfig, effective
from edgesdk_agent.config_sections import AgentConfig, CameraSection
from edgesdk_agent.link_settings import LinkSettings
from edgesdk_agent.meter import Meter
from edgesdk_agent.model_inputs import SLOTS_WANTED, Policy
from edgesdk_agent.pipeline import Pipeline
from edgesdk_agent.presence import Identity, Presence
from edgesdk_agent.report_queue import ReportQueue
from edgesdk_agent.reporter import Reporter
from edgesdk_agent.summary import run_summary
from edgesdk_agent.telemetry_sample import telemetry_sample
from edgesdk_agent.vitals import VitalsReader
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.messages import BundleName, CameraName, Sample
from edgesdk_targets.model import Model, load_model
from edgesdk_targets.probe import ProbeLimits
from edgesdk_targets.session import SessionOptions

log = logging.getLogger(__name__)

_STOP_PIPELINE_S = 10.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Channel:
    """One camera with a loaded model of its own: one session runs one inference at a time."""

    name: str
    camera: Camera
    model: Model
    policy: Policy


class Agent:
    """One run of the agent.

    Args:
        loaded: the configuration.
        version: of edgesdk, for the birth message.
        mqtt: report to the broker; without it results are only counted.
    """

    def __init__(self, loaded: LoadedConfig, *, version: str, mqtt: bool = True) -> None:
        self._loaded = loaded
        self._version = version
        self._mqtt = mqtt
        self._meter = Meter()
        self._vitals = VitalsReader()
        self._errors: list[EdgeError] = []
        self.queue = ReportQueue(max_items=self.config.queue.max_reports, max_bytes=self.config.queue.max_bytes)
        self.variant = ""

    @property
    def config(self) -> AgentConfig:
        return self._loaded.config

    def run(self, stop: threading.Event) -> dict[str, Any]:
        """Run until `stop` is set or every source has ended, and return the summary.

        Raises:
            EdgeError: a part could not start, or failed for good.
        """
        with ExitStack() as stack:
            channels = self._open_channels(stack)
            reporter = self._reporter(channels[0].model)
            link = self._link(channels, stack)
            pipelines = [stack.enter_context(self._pipeline(channel, reporter)) for channel in channels]
            if self._mqtt:
                for name, reason in channels[0].model.choice.failed:
                    reporter.event("variant_failed", "warning", f"{name}: {reason}")
                reporter.start()
            try:
                while not stop.wait(_POLL_S):
                    if all(pipeline.wait(0) for pipeline in pipelines):
                        break
            finally:
                for pipeline in pipelines:
                    pipeline.request_stop()
                for pipeline in pipelines:
                    pipeline.stop(_STOP_PIPELINE_S)
                if link is not None:
                    reporter.stop()
                    self._deliver_rest(link)
        # One camera that fails for good is told as an event while the others go on; when none is left, it is an error.
        if self._errors and len(self._errors) == len(channels):
            raise self._errors[0]
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """Return what happened so far, with the stable keys of `--json`."""
        counts = self.queue.counts()
        sent = {
            "delivered": dict(counts.delivered),
            "lost": counts.lost,
            "undelivered": counts.pending + counts.in_flight,
        }
        return {**run_summary(self._meter.totals(), self._vitals.read()), "reports": sent, "variant": self.variant}

    def _open_channels(self, stack: ExitStack) -> list[Channel]:
        config = self.config
        bundle = stack.enter_context(open_bundle(config.bundle))
        options = SessionOptions(threads=config.pipeline.threads or 0)
        patience = config.pipeline.probe_timeout_s
        probe = ProbeLimits(phase_s=patience) if patience else False
        target, variant = config.target or None, config.variant or None
        channels = []
        for section in config.cameras:
            model = stack.enter_context(
                load_model(bundle, target=target, variant=variant, options=options, probe=probe)
            )
            camera = open_camera(section.source, **_source_options(section))
            stack.callback(camera.close)
            policy: Policy = (
                section.mode if section.mode != "auto" else ("freshest" if camera.info.live else "every_frame")
            )
            channels.append(Channel(section.name, camera, model, policy))
        chosen = channels[0].model
        self.variant = chosen.variant.id
        log.info("Runs %s by %s", chosen.variant.id, chosen.runtime.value)
        for name, reason in chosen.choice.rejected:
            log.info("Not %s: %s", name, reason)
        return channels

    def _pipeline(self, channel: Channel, reporter: Reporter) -> Pipeline:
        return Pipeline(
            channel.model.slots(SLOTS_WANTED[channel.policy]),
            channel.camera,
            on_result=reporter if self._mqtt else _only_count,
            camera_name=channel.name,
            policy=channel.policy,
            on_error=partial(self._failed, channel.name, reporter),
            meter=self._meter,
        )

    def _failed(self, camera: str, reporter: Reporter, error: EdgeError) -> None:
        """Note what ended a camera's pipeline, and tell it at once."""
        log.error("%s: %s %s", camera, error.message, error.hint)
        self._errors.append(error)
        if self._mqtt:
            reporter.event(error.code, "error", error.message, camera=camera)

    def _reporter(self, model: Model) -> Reporter:
        config = self.config
        return Reporter(
            self.queue,
            config.device.node,
            snapshot=self._sample,
            interval_s=config.telemetry.interval_s,
            samples_per_message=config.telemetry.samples_per_message,
            max_results_per_s=config.mqtt.max_results_per_s,
            bundle=_bundle_name(model),
        )

    def _sample(self) -> Sample:
        return telemetry_sample(
            at=time.time(),
            interval=self._meter.interval(),
            totals=self._meter.totals(),
            vitals=self._vitals.read(),
            queue=self.queue.counts(),
        )

    def _link(self, channels: list[Channel], stack: ExitStack) -> Any:
        if not self._mqtt:
            return None
        from edgesdk_agent.link import Link

        mqtt = self.config.mqtt
        presence = Presence(self._identity(channels), epoch=self.queue.epoch, next_seq=lambda: self.queue.next_seq)
        settings = LinkSettings(
            client_id=mqtt.client_id,
            keepalive_s=mqtt.keepalive_s,
            will_delay_s=mqtt.will_delay_s,
            connect_timeout_s=mqtt.connect_timeout_s,
        )
        link = Link(mqtt.address(), self.queue, presence, tls=mqtt.tls(), settings=settings)
        stack.callback(link.stop)
        link.start(require_within_s=mqtt.start_timeout_s if mqtt.require_at_start else None)
        return link

    def _deliver_rest(self, link: Any) -> None:
        if not link.flush(self.config.mqtt.flush_timeout_s):
            status, left = link.status(), self.queue.counts()
            if status.acknowledged == 0 and status.problem is not None:
                # Not one message was ever taken: this run reported nothing, and must not look as if it had.
                link.stop()
                raise status.problem.error()
            log.warning(
                "%d reports could not be delivered: the broker did not take them in time", left.pending + left.in_flight
            )
        link.stop()

    def _identity(self, channels: list[Channel]) -> Identity:
        model = channels[0].model
        return Identity(
            node=self.config.device.node,
            agent_version=self._version,
            target=model.variant.target,
            variant=model.variant.id,
            runtime=model.runtime.value,
            bundle=_bundle_name(model),
            cameras=tuple(CameraName(name=c.name, source=c.camera.info.description, mode=c.policy) for c in channels),
            hardware={"machine": platform.machine(), "system": platform.system(), "python": platform.python_version()},
            config_hash=_config_hash(self._loaded),
        )


def _source_options(section: CameraSection) -> dict[str, Any]:
    given = {
        "live": section.live,
        "fps": section.fps,
        "loop": section.loop or None,
        "width": section.width,
        "height": section.height,
    }
    return {name: value for name, value in given.items() if value is not None}


def _bundle_name(model: Model) -> BundleName:
    return BundleName(name=model.manifest.name, version=model.manifest.version, digest=model.digest)


def _config_hash(loaded: LoadedConfig) -> str:
    """Hash what the configuration says, without its secrets."""
    lines = "\n".join(f"{line.path}={line.value}" for line in effective(loaded))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _only_count(_frame: object) -> None:
    """Without a broker a result is counted by the pipeline, and that is all."""
