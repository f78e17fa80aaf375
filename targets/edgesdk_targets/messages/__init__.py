"""What device and fleet say to each other over MQTT: values, and how they become bytes."""

from __future__ import annotations

from edgesdk_targets.messages.downward import Ack, Command, Desired, SeqRange
from edgesdk_targets.messages.envelope import Message, UpMessage, rfc3339
from edgesdk_targets.messages.upward import (
    Birth,
    BundleName,
    CameraName,
    Event,
    Percentiles,
    Reply,
    Reported,
    ResultMessage,
    Sample,
    State,
    Telemetry,
)
from edgesdk_targets.messages.wire import DEFLATED, JSON, Encoded, decode, encode, schemas, topic_of

__all__ = [
    "DEFLATED",
    "JSON",
    "Ack",
    "Birth",
    "BundleName",
    "CameraName",
    "Command",
    "Desired",
    "Encoded",
    "Event",
    "Message",
    "Percentiles",
    "Reply",
    "Reported",
    "ResultMessage",
    "Sample",
    "SeqRange",
    "State",
    "Telemetry",
    "UpMessage",
    "decode",
    "encode",
    "rfc3339",
    "schemas",
    "topic_of",
]
