"""Which values of a configuration are secret; they are hidden in the log from the moment they are known."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from edgesdk_agent.logs.start import current_logs
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.secret_url import SecretUrl

log = logging.getLogger(__name__)


def hide_secrets(config: BaseModel) -> None:
    """Let the log of this process hide the secrets of a configuration."""
    current_logs().redaction.add(*secrets_of(config))


def warn_of_arguments(addresses: Iterable[str]) -> None:
    """Say that a password in a flag is seen by every user of this machine, in the list of processes."""
    if any("${" not in secret for address in addresses for secret in SecretUrl(address).secrets):
        log.warning(
            "A password in a flag is shown in the list of processes. "
            "Write ${env:NAME} or ${file:PATH} in its place (in single quotes), or use the configuration file."
        )


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
    elif isinstance(value, Mapping):
        yield from secrets_of(tuple(value.values()))
    elif isinstance(value, SecretUrl):
        yield from value.secrets
    elif isinstance(value, BrokerAddress):
        yield from secrets_of(value.password)
    elif isinstance(value, str) and "://" in value:
        yield from _password(value)


def _password(address: str) -> Iterator[str]:
    user, at, _ = urlsplit(address).netloc.rpartition("@") if "@" in address else ("", "", "")
    _, colon, password = user.partition(":")
    if at and colon and password:
        yield password
        yield unquote(password)
