"""paho-mqtt's client as we want it: MQTT 5, our login and will, packets that are bounded and go out at once."""

from __future__ import annotations

import socket
import ssl
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

from edgesdk_agent.link.ends import Ends
from edgesdk_agent.link.inbox import LARGEST_PACKET_BYTES
from edgesdk_agent.link.settings import LinkSettings
from edgesdk_targets.broker_address import BrokerAddress

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.properties import Properties


def new_client(ends: Ends, session: int) -> Client:
    """Return a client that is to be connected, with its login and its will; who uses it sets what it is to be told.

    Args:
        session: whose end the will tells.
    """
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    settings, address = ends.settings, ends.address
    client = Client(CallbackAPIVersion.VERSION2, client_id=ends.client_id, protocol=MQTTv5, reconnect_on_failure=False)
    client.connect_timeout = settings.connect_timeout_s
    client.max_inflight_messages_set(settings.in_flight)
    if address.username or address.password:
        password = address.password.get_secret_value() if address.password else None
        client.username_pw_set(address.username or None, password)
    if address.tls and ends.tls is not None:
        client.tls_set_context(ends.tls)
    will = ends.presence.will(session)
    properties = _properties("WILLMESSAGE", WillDelayInterval=settings.will_delay_s, ContentType=will.body.content_type)
    client.will_set(will.topic, will.body.payload, qos=1, retain=True, properties=properties)
    client.on_socket_open = _send_at_once
    return client


def connect(client: Client, settings: LinkSettings, address: BrokerAddress) -> None:
    """Open the socket and ask the broker for a connection; its answer is still to come.

    Raises:
        OSError, ValueError: it cannot be reached, or is not whom it should be.
    """
    properties = _properties(
        "CONNECT",
        SessionExpiryInterval=max(settings.session_s, settings.will_delay_s),
        MaximumPacketSize=LARGEST_PACKET_BYTES,
    )
    try:
        client.connect(address.host, address.port, settings.keepalive_s, clean_start=False, properties=properties)
    except (OSError, ValueError) as error:
        _close_forgotten_socket(error)
        raise


def _send_at_once(_client: Any, _data: Any, sock: Any) -> None:
    # Reports are small and each is wanted now: else one waits for the acknowledgement of the one before, up to 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close_forgotten_socket(error: BaseException) -> None:
    """Close the socket of a failed TLS handshake, which paho leaves to the garbage collector."""
    for frame, _line in traceback.walk_tb(error.__traceback__):
        forgotten = frame.f_locals.get("ssl_sock")
        if isinstance(forgotten, ssl.SSLSocket):
            forgotten.close()


@cache
def publish_properties(content_type: str, expires_s: int = 0) -> Properties:
    """Return what a report says of its payload and of how long it is worth something, seconds; 0 is for ever."""
    # paho only reads them, and they cost as much to make, or to pack, as all the rest of a publish.
    expiry = {"MessageExpiryInterval": expires_s} if expires_s else {}
    properties = _properties("PUBLISH", ContentType=content_type, **expiry)
    packed = properties.pack()  # type: ignore[no-untyped-call]
    # By its dictionary, as it takes no attribute that MQTT does not know.
    properties.__dict__["pack"] = lambda: packed
    return properties


def _properties(packet: str, **values: object) -> Properties:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(getattr(PacketTypes, packet))  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
