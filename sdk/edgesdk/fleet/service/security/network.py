"""From which network somebody asks: what limits count by, where an address alone is too easily changed."""

from __future__ import annotations

import ipaddress

# A household or a rented machine gets a whole network of this size, and speaks from any address in it.
_IPV6_PREFIX = 64


def network_of(address: str) -> str:
    """Return an IPv4 address itself, of IPv6 the network that one subscriber has; anything else as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
