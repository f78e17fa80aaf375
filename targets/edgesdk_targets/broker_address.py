"""Where the broker is and who we are to it, from a URL; no text made of it ever holds the password."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import SecretUrl

PLAIN_PORT = 1883
TLS_PORT = 8883
_EXAMPLE = "Write mqtt://host:1883, or mqtts://user:password@host:8883 for TLS."
_PORTS = {"mqtt": PLAIN_PORT, "mqtts": TLS_PORT}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """One broker.

    Attributes:
        host: name or address, without brackets.
        tls: whether the connection is encrypted and the broker's certificate checked.
        username, password: empty and None where the broker asks for none.
    """

    host: str
    port: int = PLAIN_PORT
    tls: bool = False
    username: str = ""
    password: SecretStr | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def with_login(self, username: str, password: SecretStr | None) -> BrokerAddress:
        """Return the same broker for another user; what is empty stays as it was."""
        return replace(self, username=username or self.username, password=password or self.password)

    @classmethod
    def parse(cls, url: str | SecretUrl) -> BrokerAddress:
        """Read `mqtt://[user[:password]@]host[:port]` or `mqtts://…`; in user and password `%40` stands for `@`.

        Raises:
            InputError: it is no such URL.
        """
        url = url.reveal() if isinstance(url, SecretUrl) else url
        # Before the last @ may stand a password, however wrong the rest is.
        shown = ("***@" + url.rpartition("@")[2] if "@" in url else url)[:200]
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as error:
            raise InputError(f"{shown!r} is not a broker's URL.", hint=_EXAMPLE) from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise InputError(f"{shown!r} is not a broker's URL.", hint=_EXAMPLE)
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            # A password with a bare `/`, `?` or `#` ends here, so nothing of it may be shown.
            raise InputError(
                "The broker's URL has something after host and port.",
                hint=f"{_EXAMPLE} In user and password write %2F for '/', %3F for '?', %23 for '#', %40 for '@'.",
            )
        password = SecretStr(unquote(parts.password)) if parts.password else None
        return cls(
            host=parts.hostname,
            port=_PORTS[parts.scheme] if port is None else _usable(port),
            tls=parts.scheme == "mqtts",
            username=unquote(parts.username or ""),
            password=password,
        )


def _usable(port: int) -> int:
    if not port:
        raise InputError("A broker cannot be at port 0.", hint=_EXAMPLE)
    return port


def tls_context(
    *, ca: Path | None = None, cert: Path | None = None, key: Path | None = None, insecure: bool = False
) -> ssl.SSLContext:
    """Return the TLS settings of a client.

    Args:
        ca: certificates to trust, PEM; those of the system unless given.
        cert: the client's own certificate, PEM.
        key: its private key, PEM, not encrypted; may be inside `cert`.
        insecure: take any certificate, so that anybody between may listen.

    Raises:
        InputError: a file is missing or is not what it should be.
    """
    _check_readable(ca, "ca")
    _check_readable(cert, "cert")
    _check_readable(key, "key")
    if key is not None and cert is None:
        raise InputError("A client key is given without its certificate.", hint="Give cert as well.")
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{ca} holds no certificate.", hint="Give a PEM file of the authority to trust.") from error
    if cert is not None:
        try:
            # Without the empty answer, OpenSSL would ask for a password on the terminal.
            context.load_cert_chain(str(cert), None if key is None else str(key), password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise InputError(
                f"{cert} and {key or cert} are not a certificate and its unencrypted key.", hint="Give both as PEM."
            ) from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check_readable(path: Path | None, what: str) -> None:
    if path is None:
        return
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{what}: {path} cannot be read: {error.strerror}.", hint="Correct the path.") from error
