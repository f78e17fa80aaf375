"""Where a webhook or a mail may go: never to an address of this machine's own neighbourhood that answers whoever asks.

A name is resolved once and the connection goes to the address that was looked at, so that a name server cannot answer
differently the second time.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk_targets.errors import InputError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Clouds answer here with the machine's own keys; it is within no network that the rules below name.
_METADATA = (ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200"))
_EMBEDDING = ipaddress.ip_network("64:ff9b::/96")


def networks(allow: Sequence[str]) -> list[Network]:
    """Return the networks that an administrator allows. Raises InputError."""
    try:
        return [ipaddress.ip_network(text) for text in allow]
    except ValueError as error:
        raise InputError(f"`allow` holds what is no network: {error}.", hint="Such as 10.0.0.0/8.") from error


def resolve(host: str, port: int, allowed: Sequence[Network] = ()) -> list[Address]:
    """Return the addresses of a host.

    Args:
        allowed: networks that may be reached although they are refused by default.

    Raises:
        NotDelivered: there is no such host, or one of its addresses is refused.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{host} is not known to the name server.", hint="Correct the channel's address.") from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    for address in addresses:
        reason = refusal(address)
        if reason and not any(_within(address, network) for network in allowed):
            raise NotDelivered(
                f"{host} is {reason} ({address}); alerts do not go there.",
                hint="An administrator can allow the network for this channel (`allow`).",
                again=False,
            )
    return addresses


def refusal(address: Address) -> str:
    """Say why an address is refused by default; empty where it is not."""
    inner = _inside(address)
    if inner is not None:
        return refusal(inner)
    if address in _METADATA:
        return "the cloud's own service"
    checks = {
        "an address of this link only": address.is_link_local,
        "this machine itself": address.is_loopback,
        "no address of one machine": address.is_unspecified or address.is_multicast,
        "reserved": address.is_reserved,
    }
    return next((reason for reason, hit in checks.items() if hit), "")


def _inside(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _EMBEDDING:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
