"""Where clips are sent: HTTPS, or HTTP to this device itself; without a password in the address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from edgesdk_targets.errors import InputError

_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class UploadAddress:
    """A server and a path on it."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> UploadAddress:
        """Read an address.

        Raises:
            InputError: it is none, it is not encrypted, or it holds a password.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InputError("clips.upload.url is no address.", hint="Write https://host/path.") from error
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not host or any(ord(c) < 33 for c in text):
            raise InputError("clips.upload.url is no address.", hint="Write https://host/path.")
        if parts.username or parts.password:
            raise InputError("clips.upload.url holds a password.", hint="Use clips.upload.token.")
        if parts.scheme == "http" and host not in _HERE:
            raise InputError("clips.upload.url is not encrypted.", hint="Write https://.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)

    def at(self, location: str) -> UploadAddress:
        """Return the address of an upload that the server created.

        Raises:
            InputError: it is on another server, which must not get the token.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        found = UploadAddress.parse(urljoin(f"{self.scheme}://{host}:{self.port}{self.path}", location))
        if (found.scheme, found.host, found.port) != (self.scheme, self.host, self.port):
            raise InputError(
                "The server created an upload on another server.", hint="Name that one in clips.upload.url."
            )
        return found
