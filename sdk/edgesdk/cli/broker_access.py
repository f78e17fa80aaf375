"""The broker that a command's options name, and how it is reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import ssl

    from edgesdk_targets.broker_address import BrokerAddress


def broker_access(
    url: str,
    username: str,
    password: str,
    *,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    insecure: bool = False,
) -> tuple[BrokerAddress, ssl.SSLContext | None]:
    """Return the address with its login, and the TLS context where it asks for one.

    Raises:
        InputError: the address or a file cannot be used, or TLS options are given for an address without TLS.
    """
    from pydantic import SecretStr

    from edgesdk_targets.broker_address import BrokerAddress, tls_context

    address = BrokerAddress.parse(url).with_login(username, SecretStr(password) if password else None)
    if (ca or cert or key or insecure) and not address.tls:
        raise InputError(f"{address} is not encrypted, but TLS options are given.", hint="Write mqtts://.")
    return address, tls_context(ca=ca, cert=cert, key=key, insecure=insecure) if address.tls else None
