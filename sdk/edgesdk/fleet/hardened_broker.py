"""mosquitto for a fleet in earnest: TLS 1.3 and client certificates only, and one pattern that binds each device.

Two listeners, none of them plain. Devices come to the first: their name is their certificate's, for the login, for the
rules and for the session, so that none can speak as another, hear another, or push another off. The fleet's own
services come to the second, which other machines do not reach unless it is asked for; their sessions have names of their
own choosing, which is how a revoked device's open connection is ended. So the second believes another authority than the
first: with a device's certificate nobody enters there.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import PREFIX, check_name

# A little above the largest message, which is 256 kB.
_MAX_PACKET_BYTES = 300_000
# Of the whole broker, for clients that are slow or away; the default of 1000 messages drops the rest without a word.
_QUEUED = 100_000
HOME_ASSISTANT_TOPICS = ("homeassistant/#", "edgesdk-ha/#")


@dataclass(frozen=True, slots=True)
class HardenedBroker:
    """What the configuration says.

    Attributes:
        installed_at: the folder where the broker will find its files, on its own machine.
        host, port: where devices come.
        service_host, service_port: where the fleet's services come; loopback unless they run elsewhere.
        services: their names, each with the right to all of the fleet's topics.
        readers: names of clients that may only listen, such as Home Assistant's.
        data: the folder of mosquitto's own database; empty keeps retained messages in memory only.
        user: whom mosquitto becomes when it is started as root; empty leaves its own default.
    """

    installed_at: Path
    host: str = "0.0.0.0"  # noqa: S104  (a fleet's devices are elsewhere; nothing enters without a certificate)
    port: int = 8883
    service_host: str = "127.0.0.1"
    service_port: int = 8884
    services: tuple[str, ...] = ("fleet",)
    readers: tuple[str, ...] = ()
    data: str = ""
    user: str = ""
    max_devices: int = field(default=12_000)

    def __post_init__(self) -> None:
        for name in (*self.services, *self.readers):
            check_name(name, "service")
        for host in (self.host, self.service_host):
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise InputError(f"{host[:100]!r} is no address to listen on.", hint="Such as 0.0.0.0 or ::.") from None
        if self.port == self.service_port:
            raise InputError("Devices and services need two ports.", hint="Give another --service-port.")
        for text in (str(self.installed_at), self.data, self.user):
            if any(not c.isprintable() for c in text):
                raise InputError(f"{text!r} cannot stand in a configuration.", hint="Leave control characters out.")

    def config_text(self) -> str:
        """Return `mosquitto.conf`."""
        persistence = f"persistence true\npersistence_location {self.data.rstrip('/')}/\nautosave_interval 60"
        return f"""\
# Written by `edgesdk fleet broker-config`. There is no plain port, no password and no anonymous client.
per_listener_settings true
{"user " + self.user if self.user else "# user mosquitto"}
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
{persistence if self.data else "persistence false"}
persistent_client_expiration 14d
max_packet_size {_MAX_PACKET_BYTES}
max_queued_messages {_QUEUED}
max_inflight_messages 100
max_keepalive 600
set_tcp_nodelay true

# Devices. The certificate's name is the user, and the session's as well.
listener {self.port} {self.host}
max_connections {self.max_devices}
use_username_as_clientid true
{self._tls("ca.crt", "crl.pem")}

# The fleet's own services. They name their sessions themselves, so no device may come in here.
listener {self.service_port} {self.service_host}
max_connections 100
{self._tls("services-ca.crt", "services-crl.pem")}
"""

    def acl_text(self) -> str:
        """Return the rules of who may say and hear what."""
        lines = [
            "# Written by `edgesdk fleet broker-config`. %u is the name in the certificate; nothing is allowed unless it",
            "# stands here. The pattern holds for every device, present and future.",
            f"pattern write {PREFIX}/%u/up/#",
            f"pattern read {PREFIX}/%u/down/#",
        ]
        topics = (f"{PREFIX}/#", "edgesdk-alerts/#", *HOME_ASSISTANT_TOPICS)
        for name in self.services:
            lines += ["", f"user {name}", *(f"topic readwrite {topic}" for topic in topics), "topic read $SYS/#"]
        for name in self.readers:
            lines += ["", f"user {name}", *(f"topic read {topic}" for topic in topics)]
            # Home Assistant says that it is there on a topic of its own, so that discovery is said again.
            lines.append("topic write homeassistant/status")
        return "\n".join(lines) + "\n"

    def _tls(self, authority: str, revoked: str) -> str:
        at = self.installed_at
        return f"""\
allow_anonymous false
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
cafile {at / authority}
certfile {at / "broker.crt"}
keyfile {at / "broker.key"}
crlfile {at / revoked}
acl_file {at / "acl"}"""
