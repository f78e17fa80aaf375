"""Where this device sends to and fetches from: HTTPS, or HTTP to the device itself; never with a password in the address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from edgesdk_targets.errors import InputError

_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server and a path on it.

    Attributes:
        path: with the query, if there is one.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str, what: str = "It", hint: str = "Write https://host/path.") -> ServerAddress:
        """Read an address.

        Args:
            what: it is, for messages: `clips.upload.url`; hint: how one is written.

        Raises:
            InputError: it is none, it is not encrypted, or it holds a password.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InputError(f"{what} is no address.", hint=hint) from error
        host = parts.hostname or ""
        # Visible ASCII: anything else would be another address by the time that it is asked for.
        if parts.scheme not in {"http", "https"} or not host or any(not "!" <= c <= "~" for c in text):
            raise InputError(f"{what} is no address.", hint=hint)
        if parts.username or parts.password:
            raise InputError(
                f"{what} holds a password.", hint="Leave it out; where a token is needed, it has its own field."
            )
        if parts.scheme == "http" and host not in _HERE:
            raise InputError(f"{what} is not encrypted.", hint="Write https://.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path)

    def at(self, location: str) -> ServerAddress:
        """Return the address that an answer of this server names, absolute or beside this one.

        Raises:
            InputError: it is no address, or it is on another server, which was not asked for and must get no token.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        found = ServerAddress.parse(urljoin(f"{self.scheme}://{host}:{self.port}{self.path}", location))
        if (found.scheme, found.host, found.port) != (self.scheme, self.host, self.port):
            raise InputError(
                "The server names an address on another server.", hint="Name that one in the configuration."
            )
        return found
