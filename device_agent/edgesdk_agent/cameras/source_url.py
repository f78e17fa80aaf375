"""Camera addresses hold passwords, and no password may reach a log, a report, an error or a description.

What is kept is chosen, not what is hidden: a scheme, a host, a path without assignments, and a few query keys that are
known to be harmless. Everything else is shown as `***`.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+")
_SHOWN_KEYS = frozenset(
    {"channel", "stream", "subtype", "profile", "camera", "resolution", "width", "height", "fps", "quality"}
)
_SHOWN_VALUE = re.compile(r"^[A-Za-z0-9_.x]{1,12}$")


def redact(url: str) -> str:
    """Return an address without what could be a secret; text that is no URL is returned as it is."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return url
    rest = url[scheme.end() :]
    # A password may hold any character unescaped, so all up to the last @ counts as credentials.
    user, at, rest = rest.rpartition("@")
    rest = rest.partition("#")[0]
    place, question, query = rest.partition("?")
    host, slash, path = place.partition("/")
    # Some cameras take `/user=admin_password=secret_channel=1` as a path.
    path = "/".join(HIDDEN if "=" in part else part for part in path.split("/"))
    shown = "&".join(_shown(pair) for pair in query.split("&")) if question else ""
    return f"{scheme.group(0)}{HIDDEN + at if user else at}{host}{slash}{path}{question}{shown}"


def redact_text(text: str) -> str:
    """Redact every address inside a text, such as a driver's message."""
    return _URL_IN_TEXT.sub(lambda match: redact(match.group(0)), text)


class SourceUrl:
    """An address that prints without its secrets; only `reveal` gives it whole."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """Return the address with its secrets, for the library that opens it."""
        return self._url

    def __str__(self) -> str:
        return redact(self._url)

    def __repr__(self) -> str:
        return f"SourceUrl({redact(self._url)!r})"


def _shown(pair: str) -> str:
    key, equals, value = pair.partition("=")
    harmless = key.lower() in _SHOWN_KEYS and _SHOWN_VALUE.match(value) is not None
    return pair if harmless else f"{key if equals else HIDDEN}{equals}{HIDDEN if equals else ''}"
