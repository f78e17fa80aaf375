"""Which values of a configuration are secret; they are hidden in the log from the moment they are known."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from edgesdk_agent.logs.start import current_logs


def hide_secrets(config: BaseModel) -> None:
    """Let the log of this process hide the secrets of a configuration."""
    current_logs().redaction.add(*secrets_of(config))


def secrets_of(value: object) -> Iterator[str]:
    """Return every secret: what is declared so, and the passwords in addresses, as written and as meant."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from secrets_of(item)
    elif isinstance(value, str) and "://" in value:
        yield from _password(value)


def _password(address: str) -> Iterator[str]:
    user, at, _ = urlsplit(address).netloc.rpartition("@") if "@" in address else ("", "", "")
    _, colon, password = user.partition(":")
    if at and colon and password:
        yield password
        yield unquote(password)
