"""Addresses hold passwords, and no password may reach a log, a report, an error or a description.

What is kept is chosen, not what is hidden: a scheme, a host, a path without assignments, and a few query keys that are
known to be harmless. Everything else is shown as `***`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

HIDDEN = "***"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+")
# `user-pw=secret` of a GStreamer element, `password: secret` of a message. The value ends at a space, a quote or a comma.
_ASSIGNED = re.compile(
    r"(?i)((?:^|[\s,;({\"'])[a-z0-9_-]*(?:passw(?:or)?d|passwd|user-pw|proxy-pw|secret|token)[a-z0-9_-]*[\"']?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;\"'{}]+)"
)
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
    """Redact every address and every assigned password inside a text, such as a driver's message or a pipeline."""
    text = _URL_IN_TEXT.sub(lambda match: redact(match.group(0)), text) if "://" in text else text
    return _ASSIGNED.sub(rf"\g<1>{HIDDEN}", text)


class SecretUrl:
    """An address, or another name of a source, that prints without its secrets; only `reveal` gives it whole.

    Two are equal when they are the same address, secrets included. In a pydantic model it is read from text, and dumped
    and described (JSON Schema) as text without its secrets.
    """

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """Return the address with its secrets, for the library that opens it."""
        return self._url

    @property
    def holds_secret(self) -> bool:
        """Whether anything of it is hidden when it is shown."""
        return str(self) != self._url

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password of its login, as written and as meant (`%40` is `@`); nothing where there is none."""
        scheme = _SCHEME.match(self._url)
        login, at, _ = self._url[scheme.end() :].rpartition("@") if scheme else ("", "", "")
        password = login.partition(":")[2]
        return tuple(dict.fromkeys((password, unquote(password)))) if at and password else ()

    def __str__(self) -> str:
        return redact(self._url) if _SCHEME.match(self._url) else redact_text(self._url)

    def __repr__(self) -> str:
        return f"SecretUrl({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretUrl) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __reduce__(self) -> str | tuple[Any, ...]:
        # What is written to disk or sent to another process is revealed on purpose, never by the way.
        raise TypeError("a SecretUrl is not pickled: reveal it where it is needed")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
            python_schema=core_schema.union_schema(
                [
                    core_schema.is_instance_schema(cls),
                    core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
                ]
            ),
            serialization=core_schema.to_string_ser_schema(),
        )


def _shown(pair: str) -> str:
    key, equals, value = pair.partition("=")
    harmless = key.lower() in _SHOWN_KEYS and _SHOWN_VALUE.match(value) is not None
    return pair if harmless else f"{key if equals else HIDDEN}{equals}{HIDDEN if equals else ''}"
