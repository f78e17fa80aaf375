"""A snapshot on `up/snap`: a JPEG file whose comment says in JSON what it shows.

Whoever subscribes has a picture that any program opens, and what it shows stays with it when it is stored. Metadata that
travelled beside the payload would be lost with the first file that somebody saves.

    FF D8 │ FF FE, length, JSON of `Snapshot` │ the rest of the JPEG
"""

from __future__ import annotations

import struct
from typing import Annotated, ClassVar

from pydantic import Field, ValidationError

from edgesdk_targets.errors import InputError, OtherNode
from edgesdk_targets.messages.envelope import Count, ShortText, Timestamp, Token, UpMessage, schema_field
from edgesdk_targets.messages.wire import MAX_PAYLOAD_BYTES, Encoded
from edgesdk_targets.topics import Channel, Node, Topic

JPEG = "image/jpeg"
_START, _COMMENT = b"\xff\xd8", b"\xff\xfe"
_LENGTH = struct.Struct(">H")
_LONGEST_COMMENT = 0xFFFF - _LENGTH.size


class Snapshot(UpMessage):
    """What a picture shows.

    Attributes:
        id: of the picture, unique on its device.
        camera, frame, captured_at: which frame it is.
        event: the id of the event that asked for it; reason: what else did.
        width, height: of the picture as it is sent, pixels.
    """

    kind: ClassVar[str] = "snap"
    schema_id: str = schema_field("snap")
    id: Token
    camera: ShortText
    frame: Count
    captured_at: Timestamp
    event: ShortText = ""
    reason: ShortText = ""
    width: Annotated[int, Field(ge=1, le=65535)]
    height: Annotated[int, Field(ge=1, le=65535)]


def encode_snapshot(snapshot: Snapshot, jpeg: bytes) -> Encoded:
    """Return a JPEG file with a comment that says what it shows.

    Raises:
        InputError: it is no JPEG, or larger than a message may be.
    """
    comment = snapshot.model_dump_json(by_alias=True).encode()
    if not jpeg.startswith(_START) or len(comment) > _LONGEST_COMMENT:
        raise InputError("A snapshot is a JPEG file with a short comment.")
    payload = b"".join((_START, _COMMENT, _LENGTH.pack(len(comment) + _LENGTH.size), comment, jpeg[len(_START) :]))
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InputError(
            f"A snapshot of {len(payload)} bytes is larger than {MAX_PAYLOAD_BYTES}.",
            hint="Lower pictures.snapshot_bytes.",
        )
    return Encoded(payload, JPEG)


def decode_snapshot(topic: str, payload: bytes) -> Snapshot:
    """Read what a snapshot shows; the payload itself is the picture.

    Raises:
        InputError: topic, size, file or comment is wrong.
    """
    address = Topic.parse(topic)
    if address.channel is not Channel.SNAPSHOT or len(payload) > MAX_PAYLOAD_BYTES:
        raise InputError(f"{topic} carries no snapshot, or one that is too large.", hint="Not read.")
    head = len(_START) + len(_COMMENT)
    if payload[:head] != _START + _COMMENT or len(payload) < head + _LENGTH.size:
        raise InputError(f"{topic}: no JPEG with a comment that says what it shows.", hint="Not read.")
    (length,) = _LENGTH.unpack_from(payload, head)
    comment = payload[head + _LENGTH.size : head + length]
    try:
        snapshot = Snapshot.model_validate_json(comment, strict=True)
    except ValidationError as error:
        raise InputError(f"{topic}: the comment is no snapshot's.", hint="See the JSON Schema of snap/1.") from error
    if Node.parse(snapshot.node) != address.node:
        raise OtherNode(f"{topic}: it says that it is of {snapshot.node}.", says=snapshot.node)
    return snapshot
