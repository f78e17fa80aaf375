"""What device and fleet say to each other over MQTT: values, and how they become bytes."""

from __future__ import annotations

from edgesdk_targets.messages.downward import Ack, Command, Desired, SeqRange
from edgesdk_targets.messages.envelope import Message, UpMessage, rfc3339
from edgesdk_targets.messages.gap import GAP_EVENT, MAX_GAP_RANGES, Gap, GapCause, GapRange, gap_of
from edgesdk_targets.messages.segment import SEGMENT_RECORDS, Segment, pack_segment, unpack_segment
from edgesdk_targets.messages.upward import (
    Birth,
    BundleName,
    CameraName,
    CameraSample,
    DesiredReport,
    Event,
    Percentiles,
    Refusal,
    Reply,
    Reported,
    ResultMessage,
    Sample,
    State,
    Telemetry,
)
from edgesdk_targets.messages.wire import (
    DEFLATED,
    JSON,
    Encoded,
    decode,
    encode,
    inflate,
    plain_json,
    schemas,
    topic_of,
)

__all__ = [
    "DEFLATED",
    "GAP_EVENT",
    "JSON",
    "MAX_GAP_RANGES",
    "SEGMENT_RECORDS",
    "Ack",
    "Birth",
    "BundleName",
    "CameraName",
    "CameraSample",
    "Command",
    "Desired",
    "DesiredReport",
    "Encoded",
    "Event",
    "Gap",
    "GapCause",
    "GapRange",
    "Message",
    "Percentiles",
    "Refusal",
    "Reply",
    "Reported",
    "ResultMessage",
    "Sample",
    "Segment",
    "SeqRange",
    "State",
    "Telemetry",
    "UpMessage",
    "decode",
    "encode",
    "gap_of",
    "inflate",
    "pack_segment",
    "plain_json",
    "rfc3339",
    "schemas",
    "topic_of",
    "unpack_segment",
]
