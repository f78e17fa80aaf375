"""What a device says: who it is, whether it is there, what it saw, how it does."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator

from edgesdk_targets.messages.envelope import (
    Count,
    Counts,
    JsonObject,
    LongText,
    Part,
    ShortText,
    Timestamp,
    Token,
    UpMessage,
    schema_field,
)

Milliseconds = Annotated[float, Field(ge=0)]


class BundleName(Part):
    """Which model, exactly. All are empty while none runs."""

    name: ShortText = ""
    version: ShortText = ""
    digest: ShortText = ""


class CameraName(Part):
    """One camera as its owner called it; `source` comes without passwords, `decoder` says what decodes its pictures."""

    name: ShortText
    source: LongText = ""
    mode: ShortText = ""
    decoder: LongText = ""


class Birth(UpMessage):
    """Who the device is; retained, said on every connection.

    Attributes:
        boot_id: random, one for each start of the agent.
        session: counts the connections since that start, from 1.
        agent_digest: of the release by whose environment the agent runs; empty for one that was installed otherwise.
        schemas: what the device speaks, e.g. `result/1`.
    """

    kind: ClassVar[str] = "birth"
    schema_id: str = schema_field("birth")
    boot_id: Token
    session: Count
    agent_version: ShortText = ""
    agent_digest: ShortText = ""
    target: ShortText = ""
    variant: ShortText = ""
    runtime: ShortText = ""
    hardware: Annotated[dict[ShortText, ShortText], Field(max_length=64)] = Field(default_factory=dict)
    bundle: BundleName = BundleName()
    cameras: Annotated[tuple[CameraName, ...], Field(max_length=256)] = ()
    schemas: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    capabilities: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()


class State(UpMessage):
    """Whether the device is there; retained. The broker says `offline` for it when the connection is lost.

    `boot_id` and `session` are those of the connection that it speaks of: an `offline` of an earlier
    connection says nothing about the present one.
    """

    kind: ClassVar[str] = "state"
    schema_id: str = schema_field("state")
    state: Literal["online", "offline"]
    boot_id: Token
    session: Count
    reason: ShortText = ""


class ResultMessage(UpMessage):
    """What the model answered about one frame: one plain JSON message for each.

    Attributes:
        camera: the camera's name.
        frame: the camera's own count; a gap is a dropped frame.
        captured_at: when the frame was captured, by the device's clock.
        age_ms: from capture to result.
        latency_ms: time by stage (`preprocess`, `infer`, …).
        result: the answer; `kind` says which (`detections`, `classification`, `text`, `embedding`,
            `regression`, `chain`: detections of which each has `then`, a second model's answer or null).
    """

    kind: ClassVar[str] = "result"
    schema_id: str = schema_field("result")
    camera: ShortText
    frame: Count
    captured_at: Timestamp
    age_ms: Milliseconds
    latency_ms: Annotated[dict[ShortText, Milliseconds], Field(max_length=32)] = Field(default_factory=dict)
    bundle: BundleName = BundleName()
    result: JsonObject

    @field_validator("result")
    @classmethod
    def _has_kind(cls, result: dict[str, JsonValue]) -> dict[str, JsonValue]:
        kind = result.get("kind")
        named = isinstance(kind, str) and bool(kind)
        if not named:
            raise ValueError("has no 'kind'")
        return result


class Percentiles(Part):
    """Milliseconds below which half, 95 % and 99 % of the values lie; null where there were none."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class CameraSample(Part):
    """How one camera did; counts run since the agent's start, fps and age cover the interval.

    Attributes:
        state: what its supervision says: `connecting`, `online`, `degraded` or `offline`; cause: why it is not online:
            `lost`, `slow`, `frozen`, `resized`, `hung`.
        dropped: frames by cause.
        stalls: no picture came in time, or the stream broke off; reconnects: it came back.
        frozen: one and the same picture for too long; corrupt: pictures that could not be decoded.
        resized: its pictures changed their size; size_alarms: they seemed to and had not; rate_changes: it took up another
            rate.
        skipped: frames that were not wanted.
    """

    state: ShortText = ""
    cause: ShortText = ""
    fps: float | None = None
    captured: Count = 0
    processed: Count = 0
    dropped: Counts = Field(default_factory=dict)
    age_ms: Percentiles = Percentiles()
    stalls: Count = 0
    reconnects: Count = 0
    frozen: Count = 0
    corrupt: Count = 0
    resized: Count = 0
    size_alarms: Count = 0
    rate_changes: Count = 0
    skipped: Count = 0


class Sample(Part):
    """How the device did over one interval. Counts run since the agent's start, so a lost sample loses
    nothing.

    Attributes:
        window_s: the interval that fps, age and latency cover.
        dropped: frames by cause.
        queued: reports waiting to be delivered.
        lost: reports dropped because the queue was full, by kind.
        cpu_percent: of one core: 100 is one core busy.
        state: `online`, or `degraded` while one of the agent's health checks is not well.
        cameras: each camera's own figures.
        counts: what the agent's parts counted since the start, as `part.what`; what did not happen is left out.
    """

    at: Timestamp
    window_s: Annotated[float, Field(ge=0)] = 0.0
    fps: float | None = None
    captured: Count = 0
    processed: Count = 0
    dropped: Counts = Field(default_factory=dict)
    age_ms: Percentiles = Percentiles()
    latency_ms: Annotated[dict[ShortText, Percentiles], Field(max_length=32)] = Field(default_factory=dict)
    queued: Count = 0
    lost: Counts = Field(default_factory=dict)
    cpu_percent: float | None = None
    memory_bytes: Annotated[int | None, Field(ge=0)] = None
    temperature_c: float | None = None
    disk_free_bytes: Annotated[int | None, Field(ge=0)] = None
    state: ShortText = ""
    cameras: Annotated[dict[ShortText, CameraSample], Field(max_length=256)] = Field(default_factory=dict)
    counts: Counts = Field(default_factory=dict)


class Telemetry(UpMessage):
    """A batch of samples, oldest first."""

    kind: ClassVar[str] = "tele"
    schema_id: str = schema_field("tele")
    samples: Annotated[tuple[Sample, ...], Field(min_length=1, max_length=1000)]


class Event(UpMessage):
    """Something happened that a person or a rule may want to know."""

    kind: ClassVar[str] = "event"
    schema_id: str = schema_field("event")
    name: Token
    severity: Literal["info", "warning", "error"] = "info"
    message: LongText = ""
    camera: ShortText = ""
    data: JsonObject = Field(default_factory=dict)


class Refusal(Part):
    """One part of what is wanted that this device does not become, and why."""

    what: ShortText
    why: LongText = ""


class DesiredReport(Part):
    """What became of the retained `desired` document.

    Attributes:
        version: of the last document that was read; 0 where there was none.
        applied: what of it is in effect.
        refused: what of it is not.
        pending: what is in effect after the next start.
    """

    version: Count = 0
    applied: JsonObject = Field(default_factory=dict)
    refused: Annotated[tuple[Refusal, ...], Field(max_length=64)] = ()
    pending: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()


class Reported(UpMessage):
    """What is installed and how it is set; retained. What became of `desired` is told as in `DesiredReport`."""

    kind: ClassVar[str] = "reported"
    schema_id: str = schema_field("reported")
    active: BundleName = BundleName()
    previous: BundleName = BundleName()
    config_hash: ShortText = ""
    step: ShortText = ""
    version: Count = 0
    applied: JsonObject = Field(default_factory=dict)
    refused: Annotated[tuple[Refusal, ...], Field(max_length=64)] = ()
    pending: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()


class Reply(UpMessage):
    """The answer to a command.

    Attributes:
        step: `accepted` when it is taken, and then once `done`, with what came of it; `refused` where it is not taken.
        code: why not, as a key: `unknown`, `arguments`, `expired`, `busy`, `failed`, `interrupted`.
    """

    kind: ClassVar[str] = "reply"
    schema_id: str = schema_field("reply")
    id: Token
    ok: bool
    step: Literal["accepted", "done", "refused"] = "done"
    code: ShortText = ""
    message: LongText = ""
    data: JsonObject = Field(default_factory=dict)
