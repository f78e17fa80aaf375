"""The whole of `edgesdk.yaml`; each section is a file beside this one."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from edgesdk_agent.config.camera import CameraSection
from edgesdk_agent.config.clips import ClipsSection
from edgesdk_agent.config.commands import CommandsSection
from edgesdk_agent.config.device import DeviceSection
from edgesdk_agent.config.events import EventsSection
from edgesdk_agent.config.frame_data import FrameDataSection
from edgesdk_agent.config.governor import GovernorSection
from edgesdk_agent.config.health import HealthSection
from edgesdk_agent.config.hooks import HookSection, StagesSection
from edgesdk_agent.config.metrics import MetricsSection
from edgesdk_agent.config.mqtt import MqttSection
from edgesdk_agent.config.outbox import OutboxSection
from edgesdk_agent.config.pictures import PicturesSection
from edgesdk_agent.config.pipeline import PipelineSection
from edgesdk_agent.config.preview import PreviewSection
from edgesdk_agent.config.privacy import PrivacySection
from edgesdk_agent.config.report_queue import QueueSection
from edgesdk_agent.config.section import Section
from edgesdk_agent.config.telemetry import TelemetrySection
from edgesdk_agent.config.then import ThenSection
from edgesdk_agent.config.update import UpdateSection


class AgentConfig(Section):
    """The whole configuration of an agent.

    Attributes:
        bundle: the model to run.
        target, variant: choose among the bundle's variants; the best for this host unless given.
        then: a second model for what the first one finds.
        events: follows objects and tells by rules what happens; nothing of it unless given.
        update: whose bundles this device takes in place of this one; none unless given.
        hooks_path: a folder in which Python looks for the modules of `hooks` and `stages`, after everywhere else.
    """

    device: DeviceSection = Field(default_factory=DeviceSection.at_default)
    bundle: Path
    target: str = ""
    variant: str = ""
    then: ThenSection | None = None
    cameras: tuple[CameraSection, ...] = Field(json_schema_extra={"minItems": 1})
    pipeline: PipelineSection = Field(default_factory=PipelineSection.at_default)
    frame_data: FrameDataSection = Field(default_factory=FrameDataSection.at_default)
    privacy: PrivacySection = Field(default_factory=PrivacySection.at_default)
    pictures: PicturesSection = Field(default_factory=PicturesSection.at_default)
    clips: ClipsSection = Field(default_factory=ClipsSection.at_default)
    preview: PreviewSection = Field(default_factory=PreviewSection.at_default)
    stages: StagesSection = Field(default_factory=StagesSection.at_default)
    hooks: tuple[HookSection, ...] = ()
    hooks_path: Path | None = None
    events: EventsSection | None = None
    mqtt: MqttSection = Field(default_factory=MqttSection.at_default)
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection.at_default)
    queue: QueueSection = Field(default_factory=QueueSection.at_default)
    health: HealthSection = Field(default_factory=HealthSection.at_default)
    governor: GovernorSection = Field(default_factory=GovernorSection.at_default)
    metrics: MetricsSection = Field(default_factory=MetricsSection.at_default)
    commands: CommandsSection = Field(default_factory=CommandsSection.at_default)
    outbox: OutboxSection = Field(default_factory=OutboxSection.at_default)
    update: UpdateSection | None = None

    @model_validator(mode="after")
    def _collector_needs_an_outbox(self) -> AgentConfig:
        if self.mqtt.acknowledge == "collector" and self.outbox.file() is None:
            raise ValueError("mqtt.acknowledge is 'collector', but no outbox.path is set to keep reports until then")
        return self

    @field_validator("cameras")
    @classmethod
    def _named_apart(cls, cameras: tuple[CameraSection, ...]) -> tuple[CameraSection, ...]:
        if not cameras:
            raise ValueError("at least one camera is needed")
        names = [camera.name for camera in cameras]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the name {twice!r} is given to two cameras")
        return cameras
