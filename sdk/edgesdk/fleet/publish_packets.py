"""MQTT 5's PUBLISH in the one form that a collector hears, and in the one that it says, ten thousand times a second.

A client library takes a packet apart property by property. Nearly all that devices send has QoS 1 and a content type as
its only property; whoever reads these here leaves all others to the library.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

_SHORT = struct.Struct("!H")
# Numbers of properties.
_MESSAGE_EXPIRY, _CONTENT_TYPE = 0x02, 0x03
# A first byte holds the packet's kind and quality, beside two flags: whether it came again, and whether it was retained.
_PUBLISH_QOS_0, _PUBLISH_QOS_1, _KIND_AND_QOS = 0x30, 0x32, 0xF6
# There are a handful of content types; what a hostile device makes up is not remembered for long.
_REMEMBERED = 64
# From here on, a packet's length takes more than two bytes.
_LONG = 1 << 14

# Packet number, topic, content type (empty where none was given) and payload.
UsualPublish = tuple[int, str, str, bytes]


def read_packets(data: bytes, take: Callable[[int, UsualPublish], None], others: Callable[[bytes], int]) -> int:
    """Read the packets that data begin with.

    Args:
        take: gets the first byte and the content of each message of the usual form.
        others: reads whatever else there is, as this function does.

    Returns:
        How many bytes of whole packets there were; -1 where the data are malformed.
    """
    at, size = 0, len(data)
    while size - at >= 2:
        length, body = data[at + 1], at + 2
        if length > 0x7F and body < size:
            # A second byte that announces a third makes this _LONG.
            length, body = length & 0x7F | data[body] << 7, body + 1
        elif length > 0x7F:
            break
        if length >= _LONG:
            read = others(data[at:])
            return read if read < 0 else at + read
        end = body + length
        if end > size:
            break
        message = read_usual_publish(data[at], data[body:end])
        if message is not None:
            take(data[at], message)
        elif others(data[at:end]) < 0:
            return -1
        at = end
    return at


def read_usual_publish(command: int, packet: bytes) -> UsualPublish | None:
    """Read a message that came with QoS 1.

    Args:
        command: the packet's first byte.
        packet: what follows its length.

    Returns:
        None where the packet is of any other form, or is malformed.
    """
    if command & _KIND_AND_QOS != _PUBLISH_QOS_1 or len(packet) < 6:
        return None
    # A topic's name, the packet's number, and properties whose length is one byte.
    name_end = 2 + _SHORT.unpack_from(packet)[0]
    at = name_end + 2
    if name_end == 2 or at >= len(packet) or packet[at] > 0x7F:
        return None
    body = at + 1 + packet[at]
    content_type = _content_type_alone(packet[at + 1 : body])
    if content_type is None or body > len(packet):
        return None
    try:
        return _SHORT.unpack_from(packet, name_end)[0], packet[2:name_end].decode(), content_type, packet[body:]
    except UnicodeDecodeError:
        return None


def publish_packet(topic: str, payload: bytes, content_type: str, expiry_s: int) -> bytes:
    """Return a message of QoS 0 that the broker forgets after `expiry_s`."""
    name, properties = topic.encode(), _properties(content_type, expiry_s)
    size = 2 + len(name) + len(properties) + len(payload)
    return b"".join(
        (bytes((_PUBLISH_QOS_0,)), variable_length(size), _SHORT.pack(len(name)), name, properties, payload)
    )


def variable_length(number: int) -> bytes:
    """Return a number as MQTT writes lengths: seven bits a byte, the lowest first."""
    if number <= 0x7F:
        return bytes((number,))
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


@lru_cache(_REMEMBERED)
def _properties(content_type: str, expiry_s: int) -> bytes:
    kind = content_type.encode()
    said = struct.pack(f"!BIBH{len(kind)}s", _MESSAGE_EXPIRY, expiry_s, _CONTENT_TYPE, len(kind), kind)
    return variable_length(len(said)) + said


@lru_cache(_REMEMBERED)
def _content_type_alone(properties: bytes) -> str | None:
    """Return the content type that properties consist of, empty where there are none; None where they say anything else."""
    if not properties:
        return ""
    if len(properties) < 3 or properties[0] != _CONTENT_TYPE:
        return None
    if _SHORT.unpack_from(properties, 1)[0] != len(properties) - 3:
        return None
    try:
        return properties[3:].decode()
    except UnicodeDecodeError:
        return None
