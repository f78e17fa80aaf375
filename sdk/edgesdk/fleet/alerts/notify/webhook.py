"""A notice as an HTTP POST of JSON, signed, so that the receiver knows who sent it and when.

    Edgesdk-Signature: t=1790000000,v1=<HMAC-SHA256 over "1790000000." and the body, in hexadecimal digits>

A receiver computes the same with the shared secret, compares, and refuses a time that is minutes away. Redirects are not
followed: they would lead past the check of where a webhook may go.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from edgesdk.fleet.alerts.notice import Notice
from edgesdk.fleet.alerts.notify.delivery import NotDelivered
from edgesdk.fleet.alerts.notify.destination import networks, resolve
from edgesdk_targets.errors import InputError

SIGNATURE_HEADER = "Edgesdk-Signature"
_PORTS = {"http": 80, "https": 443}
# An answer is only looked at for its status.
_ANSWER_BYTES = 4096
_TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Webhook:
    """A receiver of notices.

    Attributes:
        url: http:// or https://, without a login in it.
        secret: signs what is sent; without it nothing is signed.
        allow: networks that may be reached although they are refused by default, such as `127.0.0.0/8`.
        tls: how an https server is checked; the system's authorities unless given.
        clock: seconds since 1970.
    """

    name: str
    url: str
    secret: SecretStr | None = None
    allow: tuple[str, ...] = ()
    timeout_s: float = 10.0
    tls: ssl.SSLContext | None = None
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            usable = False
        if not usable or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise InputError("The webhook's address is no http:// or https:// URL.", hint="https://host/path")
        if "@" in urlsplit(self.url).netloc:
            raise InputError("The webhook's address has a login in it.", hint="Use `secret`, which signs the message.")
        networks(self.allow)

    def send(self, notice: Notice) -> None:
        """Post a notice once. Raises NotDelivered."""
        body = json.dumps(notice.to_json(), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "edgesdk", "Edgesdk-Notice": notice.id}
        if self.secret is not None:
            headers[SIGNATURE_HEADER] = signature(self.secret, body, int(self.clock()))
        status, after_s = self._post(body, headers)
        if 200 <= status < 300:
            return
        again = status >= 500 or status in _TRY_AGAIN
        raise NotDelivered(f"The webhook answered with {status}.", again=again, after_s=after_s)

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
        parts = urlsplit(self.url)
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        addresses = resolve(host, port, networks(self.allow))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        last: OSError | None = None
        for address in addresses:
            connection = _ToAddress(host, port, str(address), self.timeout_s, self._context(parts.scheme))
            try:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                answer.read(_ANSWER_BYTES)
                return answer.status, _seconds(answer.headers.get("Retry-After", ""))
            except ssl.SSLError as error:
                raise NotDelivered(f"{host} is not trusted: {error.reason}.") from error
            except OSError as error:
                last = error
            except http.client.HTTPException as error:
                raise NotDelivered(f"{host} does not speak HTTP.") from error
            finally:
                connection.close()
        raise NotDelivered(f"{host}:{port} cannot be reached: {last}.") from last

    def _context(self, scheme: str) -> ssl.SSLContext | None:
        if scheme == "http":
            return None
        return self.tls or ssl.create_default_context()


def signature(secret: SecretStr, body: bytes, at: int) -> str:
    """Return the header by which a receiver knows a message to be ours."""
    digest = hmac.new(secret.get_secret_value().encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class _ToAddress(http.client.HTTPConnection):
    """A connection to an address that was looked at, for a host of that name."""

    def __init__(self, host: str, port: int, address: str, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=timeout_s)
        # The port in the Host header is left out only where it is the scheme's own.
        self.default_port = 443 if tls else 80
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), timeout=self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
