"""What `edgesdk.yaml` may say, section by section, with defaults; checked once, frozen after."""

from __future__ import annotations

import platform
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from edgesdk_agent.cameras.decoders import Decoder
from edgesdk_agent.cameras.source_url import redact
from edgesdk_agent.delivery.hook_name import HookName
from edgesdk_targets.broker_address import BrokerAddress, tls_context
from edgesdk_targets.crop import CropRule
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import DEFAULT_TENANT, Node, check_name, suggested_name


def _name(value: str) -> str:
    try:
        return check_name(value, "name")
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return BrokerAddress.parse(value)
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
# `source: 0` is a USB camera's number.
Source = Annotated[str, BeforeValidator(_number_as_text), Field(min_length=1, max_length=4096)]
BrokerUrl = Annotated[BrokerAddress, BeforeValidator(_address), WithJsonSchema({"type": "string", "format": "uri"})]


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DeviceSection(Section):
    """Who this device is.

    Attributes:
        name: unique in its tenant; the host's name unless given.
    """

    name: Name = Field(default_factory=lambda: suggested_name(platform.node()))
    tenant: Name = DEFAULT_TENANT

    @property
    def node(self) -> Node:
        return Node(device=self.name, tenant=self.tenant)


class CameraSection(Section):
    """One camera.

    Attributes:
        source: a file, a folder, a URL, a device's number, or one of the forms in docs/configuration.md.
        mode: `freshest` drops what is late, `every_frame` loses nothing; `auto` takes the first for live sources.
        live: whether pictures come when they come, or when they are read; by the source's nature unless given.
        fps: of what has no rate of its own; asked of a live camera.
        detect_fps: only so many frames a second are decoded to pictures and seen by the model; all unless given.
        decoder: of a network camera or film; what does not work on this device is told, and replaced by software.
        loop: begin a file or folder again at its end.
        width, height: ask a live camera for this size, pixels.
    """

    name: Name
    source: Source = Field(repr=False)
    mode: Literal["freshest", "every_frame", "auto"] = "auto"
    live: bool | None = None
    fps: float | None = Field(default=None, gt=0, le=1000)
    detect_fps: float | None = Field(default=None, gt=0, le=1000)
    decoder: Decoder = "auto"
    loop: bool = False
    width: int | None = Field(default=None, ge=1, le=16384)
    height: int | None = Field(default=None, ge=1, le=16384)

    @property
    def shown_source(self) -> str:
        """The source without user and password."""
        return redact(self.source)


class PipelineSection(Section):
    """How the model is run.

    Attributes:
        threads: for one inference; chosen by tuning unless given.
        streams: inferences at the same time; likewise.
        pin: hold the runtime's threads to cores; `auto` where no other process does so on this machine, and it is faster.
        tune: `auto` measures once on this device which variant, threads and streams are best; `off` takes the first variant.
        probe_timeout_s: a runtime that hangs longer than this, tried in a process of its own before the first load, is not
            used; 0 loads it without trying.
    """

    threads: int | None = Field(default=None, ge=1, le=256)
    streams: int | None = Field(default=None, ge=1, le=256)
    pin: Literal["auto", "on", "off"] = "auto"
    tune: Literal["auto", "off"] = "auto"
    probe_timeout_s: float = Field(default=60.0, ge=0, le=86400)


def _hook_name(value: str) -> str:
    try:
        return str(HookName.parse(value))
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


Hook = Annotated[str, AfterValidator(_hook_name), Field(max_length=512)]


class HookSection(Section):
    """A function of yours that is given every result; see docs/hooks.md.

    Attributes:
        call: `package.module:function`.
        isolate: `process` protects the pipeline from all it may do, `thread` from its waiting, `inline` from its errors.
        queue: how many results may wait for it.
        when_full: `wait` loses nothing and holds the pipeline, `drop_oldest` never holds it; `auto` waits where every
            camera is `every_frame`.
        timeout_s: for one result; a hook that takes longer is told, and where it is a process, started again.
        image: give it the picture too.
    """

    call: Hook
    isolate: Literal["process", "thread", "inline"] = "process"
    queue: int = Field(default=8, ge=1, le=10_000)
    when_full: Literal["wait", "drop_oldest", "auto"] = "auto"
    timeout_s: float = Field(default=5.0, gt=0, le=3600)
    image: bool = False


class StagesSection(Section):
    """Functions of yours in the way of frames and results; see docs/hooks.md.

    Attributes:
        on_frame: says what the model is to see of a frame: a picture, or None to leave it out.
        on_result: says what is told of a result: the result, another one, or None to keep it back.
    """

    on_frame: Hook | None = None
    on_result: Hook | None = None


class MqttSection(Section):
    """The broker.

    Attributes:
        url: `mqtt://host:1883`, or `mqtts://host:8883` for TLS.
        username, password: instead of those in the URL.
        ca: certificates to trust, PEM; the system's unless given.
        cert, key: the client's own certificate and key, PEM.
        insecure: take any certificate of the broker.
        require_at_start: end with an error when there is no connection within `start_timeout_s`.
        max_results_per_s: of each camera; every result unless given.
    """

    url: BrokerUrl | None = None
    username: str = ""
    password: SecretStr | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    client_id: str = Field(default="", max_length=256)
    keepalive_s: int = Field(default=15, ge=1, le=3600)
    will_delay_s: int = Field(default=10, ge=0, le=3600)
    connect_timeout_s: float = Field(default=5.0, gt=0, le=300)
    require_at_start: bool = False
    start_timeout_s: float = Field(default=10.0, gt=0, le=3600)
    flush_timeout_s: float = Field(default=7.0, ge=0, le=3600)
    max_results_per_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _tls_is_used(self) -> MqttSection:
        tls_fields = [name for name in ("ca", "cert", "key", "insecure") if getattr(self, name)]
        if self.url is not None and not self.url.tls and tls_fields:
            # Somebody wants encryption and would not get it.
            raise ValueError(f"{tls_fields[0]} is given, but url is mqtt://, which is not encrypted; write mqtts://")
        return self

    def address(self) -> BrokerAddress:
        """Return the broker with its login.

        Raises:
            InputError: no URL is set.
        """
        if self.url is None:
            raise InputError("No broker is set.", hint=BROKER_HINT)
        return self.url.with_login(self.username, self.password)

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings, or None for a plain connection.

        Raises:
            InputError: a certificate or key cannot be used.
        """
        if self.url is None or not self.url.tls:
            return None
        return tls_context(ca=self.ca, cert=self.cert, key=self.key, insecure=self.insecure)


BROKER_HINT = "Set mqtt.url (mqtt://host:1883), start a broker with `edgesdk fleet broker`, or run with --no-mqtt."


class TelemetrySection(Section):
    """How often the device tells how it does.

    Attributes:
        samples_per_message: more than one saves traffic and comes later.
    """

    interval_s: float = Field(default=10.0, ge=0.1, le=86400)
    samples_per_message: int = Field(default=1, ge=1, le=1000)


class QueueSection(Section):
    """How much may wait for the broker; beyond it the oldest telemetry goes, then results, then events."""

    max_reports: int = Field(default=10_000, ge=1, le=10_000_000)
    max_bytes: int = Field(default=16 << 20, ge=1024)


class ThenSection(CropRule):
    """A second model, which is asked about what the first one, a detector, found; with the rule of what it is shown.

    Attributes:
        bundle: of the second model.
        target, variant: choose among its variants.
    """

    bundle: Path
    target: str = ""
    variant: str = ""

    def rule(self) -> dict[str, Any]:
        """Return the fields of the rule alone."""
        return self.model_dump(include=set(CropRule.model_fields))


class AgentConfig(Section):
    """The whole configuration of an agent.

    Attributes:
        bundle: the model to run.
        target, variant: choose among the bundle's variants; the best for this host unless given.
        then: a second model for what the first one finds.
        hooks_path: a folder in which Python looks for the modules of `hooks` and `stages`, after everywhere else.
    """

    device: DeviceSection = Field(default_factory=DeviceSection)
    bundle: Path
    target: str = ""
    variant: str = ""
    then: ThenSection | None = None
    cameras: tuple[CameraSection, ...] = Field(json_schema_extra={"minItems": 1})
    pipeline: PipelineSection = Field(default_factory=PipelineSection)
    stages: StagesSection = Field(default_factory=StagesSection)
    hooks: tuple[HookSection, ...] = ()
    hooks_path: Path | None = None
    mqtt: MqttSection = Field(default_factory=MqttSection)
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection)
    queue: QueueSection = Field(default_factory=QueueSection)

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
