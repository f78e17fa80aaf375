"""Channels as people set them: checked, their secrets sealed before they are stored, and made ready to send."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from edgesdk.fleet.alerts.notify.delivery import Channel
from edgesdk.fleet.alerts.notify.email import Email
from edgesdk.fleet.alerts.notify.mqtt import Mqtt, Say
from edgesdk.fleet.alerts.notify.webhook import Webhook
from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems

_SEALED = "sealed:"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebhookSettings(_Settings):
    """See `notify.webhook.Webhook`."""

    url: str
    secret: SecretStr | None = None
    allow: tuple[str, ...] = ()
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class EmailSettings(_Settings):
    """See `notify.email.Email`."""

    host: str
    sender: str
    recipients: tuple[str, ...]
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr | None = None
    allow: tuple[str, ...] = ()


class MqttSettings(_Settings):
    """Over the fleet's own connection: nothing to set."""


_KINDS: dict[str, type[_Settings]] = {"webhook": WebhookSettings, "email": EmailSettings, "mqtt": MqttSettings}
_SECRETS = ("secret", "password")


class Seal:
    """Closes secrets with a key in a file of its own, so that a copy of the store alone shows none of them."""

    def __init__(self, key: bytes) -> None:
        self._box = Fernet(key)

    @classmethod
    def in_file(cls, path: Path) -> Seal:
        """Open the key in a file, or make one. Raises InputError."""
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(handle, "wb") as stream:
                    stream.write(Fernet.generate_key())
            return cls(path.read_bytes().strip())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} holds no key for the channels' secrets.", hint="Restore it from a backup."
            ) from error

    def close(self, secret: str) -> str:
        return _SEALED + self._box.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return a secret. Raises InputError where it was sealed with another key."""
        try:
            return self._box.decrypt(sealed.removeprefix(_SEALED).encode()).decode()
        except InvalidToken as error:
            raise InputError(
                "A channel's secret was sealed with another key.", hint="Set the channel's secret again."
            ) from error


def sealed_settings(
    kind: str, given: Mapping[str, Any], seal: Seal, *, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return settings as they are stored.

    Args:
        before: as they were; a secret that is left out stays, one that is null is taken away.

    Raises:
        InputError: the kind is not known, a field is wrong, the channel could not be made of it, or a secret that was given
            for one receiver would be used with another.
    """
    checked = _checked(kind, given)
    kept = {name: (before or {}).get(name) for name in _SECRETS if name not in checked.model_fields_set}
    _stay_where_they_were_given(checked, kept, before or {})
    _made("check", checked, None, lambda: False)
    stored: dict[str, Any] = json.loads(checked.model_dump_json(exclude=set(_SECRETS), exclude_defaults=False))
    for name in _SECRETS:
        value = getattr(checked, name, None)
        if value is not None:
            stored[name] = seal.close(value.get_secret_value())
        elif kept.get(name):
            stored[name] = kept[name]
    return stored


def shown_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for people: of a secret only that there is one, of a URL not the path that many receivers know us by."""
    shown = {name: "***" if name in _SECRETS and value else value for name, value in stored.items()}
    if "url" in shown:
        parts = urlsplit(str(shown["url"]))
        shown["url"] = f"{parts.scheme}://{parts.netloc}/" + ("***" if parts.path.strip("/") or parts.query else "")
    return shown


def channel_from(
    name: str,
    kind: str,
    stored: Mapping[str, Any],
    seal: Seal,
    *,
    say: Say | None = None,
    connected: Callable[[], bool] = lambda: False,
) -> Channel:
    """Return a channel that can send. Raises InputError."""
    opened = {key: seal.open(value) if key in _SECRETS and value else value for key, value in stored.items()}
    return _made(name, _checked(kind, opened), say, connected)


def _checked(kind: str, given: Mapping[str, Any]) -> _Settings:
    model = _KINDS.get(kind)
    if model is None:
        raise InputError(f"{kind[:40]!r} is no kind of channel.", hint=f"One of {', '.join(_KINDS)}.")
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        told = " ".join(problem.sentence for problem in field_problems(model, error))
        raise InputError(
            f"The channel cannot be used: {told}", hint="docs/alerts.md says what a channel holds."
        ) from error


def _stay_where_they_were_given(checked: _Settings, kept: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    if isinstance(checked, EmailSettings) and kept.get("password") and checked.host != before.get("host"):
        raise InputError(
            f"The password was given for {before.get('host')}, and not for {checked.host}.", hint="Give it again."
        )
    # Of a URL the path too: at many receivers it says whose messages these are.
    if isinstance(checked, WebhookSettings) and kept.get("secret") and checked.url != before.get("url"):
        raise InputError("The secret was given for another URL.", hint="Give it again, or another one.")


def _made(name: str, settings: _Settings, say: Say | None, connected: Callable[[], bool]) -> Channel:
    if isinstance(settings, WebhookSettings):
        return Webhook(name, settings.url, settings.secret, settings.allow, settings.timeout_s)
    if isinstance(settings, EmailSettings):
        return Email(
            name, settings.host, settings.sender, settings.recipients, settings.port, settings.security,
            settings.username, settings.password, settings.allow,
        )  # fmt: skip
    return Mqtt(name, say or _nowhere, connected if say else lambda: False)


def _nowhere(topic: str, payload: bytes, *, content_type: str, expires_s: int = 0, retain: bool = False) -> None:
    """Publish nothing: there is no connection."""
