"""Where the preview listens: `host:port`, `host`, `:port` or `[v6]:port`; loopback unless told."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgesdk_targets.errors import InputError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8090
_FORM = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9.-]{0,253}))(?::(?P<port>\d{1,5}))?")
_LOOPBACKS = frozenset({LOOPBACK, "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host, as an address or a name, and a port; port 0 takes a free one."""

    host: str = LOOPBACK
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read one.

        Raises:
            InputError: it is not of this form.
        """
        found = _FORM.fullmatch(text)
        port = DEFAULT_PORT if found is None or found["port"] is None else int(found["port"])
        if found is None or port > 65535:
            raise InputError(f"{text[:80]!r} is no address to listen at.", hint=f"Write {LOOPBACK}:{DEFAULT_PORT}.")
        return cls(found["v6"] or found["host"] or LOOPBACK, port)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this device reach it."""
        return self.host in _LOOPBACKS or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
