"""Messages to bytes and back: JSON in UTF-8, telemetry deflated (zlib format) above 1 kB, segments deflated or as tables.

What arrives is hostile until it is decoded: its size, its size when inflated, its depth and every type are
bounded here, and nothing but a message or an InputError leaves this file.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import to_json  # pydantic brings it, in the one version that it needs

from edgesdk_targets.errors import InputError, OtherNode
from edgesdk_targets.field_problems import dotted, field_problems
from edgesdk_targets.messages.columns import is_table, unpack_columns
from edgesdk_targets.messages.downward import Ack, Command, Desired
from edgesdk_targets.messages.envelope import Message
from edgesdk_targets.messages.gap import Gap
from edgesdk_targets.messages.segment import Segment
from edgesdk_targets.messages.upward import Birth, Event, Reply, Reported, ResultMessage, State, Telemetry
from edgesdk_targets.topics import Channel, Node, Topic

JSON = "application/json"
DEFLATED = "application/json+deflate"
# The same JSON as a table (`columns`); only to a collector that has said that it takes it.
COLUMNS = "application/json+columns"
DEFLATE_ABOVE_BYTES = 1024
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_INFLATED_BYTES = 1024 * 1024

_MODELS: dict[Channel, type[Message]] = {
    Channel.BIRTH: Birth,
    Channel.STATE: State,
    Channel.RESULT: ResultMessage,
    Channel.TELEMETRY: Telemetry,
    Channel.EVENT: Event,
    Channel.SEGMENT: Segment,
    Channel.REPORTED: Reported,
    Channel.REPLY: Reply,
    Channel.ACK: Ack,
    Channel.DESIRED: Desired,
    Channel.COMMAND: Command,
}
_CHANNELS = {model: channel for channel, model in _MODELS.items()}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message as it travels."""

    payload: bytes
    content_type: str = JSON


def encode(message: Message) -> Encoded:
    """Write a message as JSON.

    Raises:
        InputError: it is larger than a message may be.
    """
    payload = message.model_dump_json(by_alias=True).encode()
    size, content_type = len(payload), JSON
    if isinstance(message, Segment) or (isinstance(message, Telemetry) and len(payload) > DEFLATE_ABOVE_BYTES):
        payload, content_type = zlib.compress(payload), DEFLATED
    _check_size(message.kind, len(payload), size)
    return Encoded(payload, content_type)


def encode_result(fields: Mapping[str, object]) -> Encoded:
    """Write a `ResultMessage` of values that were made here: the bytes of `encode`, without the message.

    One goes out for each frame, and the code that makes and reads a message is cold by then: a quarter of a millisecond of
    a result's age.

    Args:
        fields: each field of a `ResultMessage` but the schema, in their order, as JSON has them; times by `rfc3339`. A
            number that JSON does not have is written as null.

    Raises:
        InputError: it is larger than a message may be.
        ValueError: a value has no JSON.
    """
    schema = f"{ResultMessage.kind}/{ResultMessage.major}"
    payload = to_json({"schema": schema, **fields}, inf_nan_mode="null")
    _check_size(ResultMessage.kind, len(payload), len(payload))
    return Encoded(payload)


def _check_size(kind: str, size: int, inflated: int) -> None:
    # What inflates to more than the limit would be refused where it arrives.
    for told, limit in ((size, MAX_PAYLOAD_BYTES), (inflated, MAX_INFLATED_BYTES)):
        if told > limit:
            raise InputError(
                f"A {kind} message of {told} bytes is larger than {limit}.",
                hint="Raise the score threshold, or report fewer objects or a smaller vector a frame.",
            )


def topic_of(message: Message) -> Topic:
    """Return the topic on which a message is said."""
    reply_id = message.id if isinstance(message, Reply) else ""
    return Topic(Node.parse(message.node), _CHANNELS[type(message)], reply_id)


def decode(topic: str, payload: bytes, content_type: str = JSON) -> Message:
    """Read one message.

    Args:
        topic: where it was said; decides what it must be.
        payload: as received.
        content_type: MQTT 5's property; a client that sends none sends JSON.

    Raises:
        InputError: topic, size, encoding, schema, node or a field is wrong; the message names the field.
    """
    address = Topic.parse(topic)
    model = _MODELS.get(address.channel)
    if model is None:
        raise InputError(f"{address.channel.value} does not carry messages.", hint="Read its bytes as they are.")
    text = inflate(payload, content_type, topic)
    try:
        message = model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _refusal(topic, model, error) from error
    if "schema_id" not in message.model_fields_set:
        raise InputError(f"{topic}: field schema: is required, but missing.", hint=f"Expected {model.kind}/1.")
    if message.node != str(address.node):
        raise OtherNode(
            f"{topic}: field node: is {message.node!r}, but the topic belongs to {address.node}.", says=message.node
        )
    return message


def schemas() -> dict[str, dict[str, object]]:
    """Return the JSON Schema of each message, by schema id (`result/1`, …), and of what an event named `gap` holds."""
    spoken: tuple[type[Message | Gap], ...] = (*_MODELS.values(), Gap)
    return {f"{m.kind}/{m.major}": m.model_json_schema(by_alias=True) for m in spoken}


def plain_json(encoded: Encoded) -> bytes:
    """Return the JSON of a message that we wrote."""
    return zlib.decompress(encoded.payload) if encoded.content_type == DEFLATED else encoded.payload


def content_type_of_segment(body: bytes) -> str:
    """Return how a segment that we wrote is to be announced."""
    return COLUMNS if is_table(body) else DEFLATED


def inflate(payload: bytes, content_type: str, topic: str) -> bytes:
    """Return the JSON of a message that came, inflated where it is deflated.

    Raises:
        InputError: it is too large, before or after, cut off, or of an unknown content type.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InputError(f"{topic}: {len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}.", hint="Not read.")
    if content_type in (JSON, ""):
        return payload
    if content_type == COLUMNS:
        return _from_table(payload, topic)
    if content_type != DEFLATED:
        hint = f"{JSON}, {DEFLATED} or {COLUMNS}."
        raise InputError(f"{topic}: unknown content type {content_type[:80]!r}.", hint=hint)
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(payload, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise InputError(f"{topic}: the payload is not deflated data.", hint="Use zlib's format.") from error
    if inflater.unconsumed_tail or not inflater.eof or inflater.unused_data:
        raise InputError(
            f"{topic}: the payload is cut off, or inflates to more than {MAX_INFLATED_BYTES} bytes.",
            hint="Not read.",
        )
    return text


def _from_table(payload: bytes, topic: str) -> bytes:
    try:
        before, documents, after = unpack_columns(payload, MAX_INFLATED_BYTES)
        return (before + ",".join(documents) + after).encode()
    except ValueError as error:
        raise InputError(f"{topic}: the payload is no table: {error}.", hint="See docs/mqtt.md.") from error


def _refusal(topic: str, model: type[Message], error: ValidationError) -> InputError:
    problems = field_problems(model, error)
    # A later schema may differ everywhere: that it is unknown is the one thing worth saying.
    wrong = next((p for p in problems if p.path == ("schema",)), problems[0])
    where = f"field {dotted(wrong.path)}: " if wrong.path else ""
    return InputError(f"{topic}: {where}{wrong.message}.", hint=f"See the JSON Schema of {model.kind}/{model.major}.")
