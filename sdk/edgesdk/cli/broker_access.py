"""The options by which a command names its broker, and how that broker is reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import ssl

    from edgesdk_targets.broker_address import BrokerAddress

HERE = "mqtt://127.0.0.1:1883"
BrokerUrl = Annotated[
    str, typer.Option("--broker", "-b", help="mqtt://host:1883 or mqtts://…", envvar="EDGESDK_MQTT__URL")
]
Username = Annotated[str, typer.Option(help="User at the broker.", envvar="EDGESDK_MQTT__USERNAME")]
Password = Annotated[str, typer.Option(help="Password; safer in the environment.", envvar="EDGESDK_MQTT__PASSWORD")]
Ca = Annotated[Path | None, typer.Option(help="The broker's certificates to trust (PEM).")]
Cert = Annotated[Path | None, typer.Option(help="Our own certificate at the broker (PEM).")]
CertKey = Annotated[Path | None, typer.Option(help="Its key (PEM).")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Take any certificate of the broker.")]


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
    from edgesdk_targets.broker_address import tls_context

    address = address_with_login(url, username, password)
    if (ca or cert or key or insecure) and not address.tls:
        raise InputError(f"{address} is not encrypted, but TLS options are given.", hint="Write mqtts://.")
    return address, tls_context(ca=ca, cert=cert, key=key, insecure=insecure) if address.tls else None


def address_with_login(url: str, username: str, password: str) -> BrokerAddress:
    """Return the address, for the user and password that are given beside it.

    Raises:
        InputError: the address cannot be used.
    """
    from pydantic import SecretStr

    from edgesdk_targets.broker_address import BrokerAddress

    return BrokerAddress.parse(url).with_login(username, SecretStr(password) if password else None)
