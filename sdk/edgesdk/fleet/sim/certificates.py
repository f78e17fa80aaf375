"""Each simulated device's own TLS settings, from a folder with one certificate and one key for each."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from edgesdk_targets.broker_address import BrokerAddress, tls_context
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node

TlsOf = Callable[[Node], ssl.SSLContext | None]


def tls_of_devices(address: BrokerAddress, *, ca: Path | None, folder: Path | None, insecure: bool = False) -> TlsOf:
    """Return what gives a device its TLS settings, made when it first connects.

    Args:
        ca: whom to trust; those of the system unless given.
        folder: `{node}.crt` and `{node}.key` of each device; None: they come without certificates.

    Raises:
        InputError: a file cannot be used, or TLS options are given for an address without TLS.
    """
    if not address.tls:
        if ca or folder or insecure:
            raise InputError(f"{address} is not encrypted, but TLS options are given.", hint="Write mqtts://.")
        return lambda _node: None
    if folder is None:
        shared = tls_context(ca=ca, insecure=insecure)
        return lambda _node: shared
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", hint="It holds a NODE.crt and a NODE.key for each device.")
    made: dict[Node, ssl.SSLContext] = {}

    def own(node: Node) -> ssl.SSLContext:
        context = made.get(node)
        if context is None:
            files = {"cert": folder / f"{node}.crt", "key": folder / f"{node}.key"}
            context = made[node] = tls_context(ca=ca, insecure=insecure, **files)
        return context

    return own
