"""The section `mqtt`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema, model_validator

from edgesdk_agent.config.section import Section
from edgesdk_targets.broker_address import BrokerAddress, tls_context
from edgesdk_targets.errors import InputError

BROKER_HINT = "Set mqtt.url (mqtt://host:1883), start a broker with `edgesdk fleet broker`, or run with --no-mqtt."


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return BrokerAddress.parse(value)
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


BrokerUrl = Annotated[BrokerAddress, BeforeValidator(_address), WithJsonSchema({"type": "string", "format": "uri"})]


class MqttSection(Section):
    """The broker.

    Attributes:
        url: `mqtt://host:1883`, or `mqtts://host:8883` for TLS.
        username, password: instead of those in the URL.
        ca: certificates to trust, PEM; the system's unless given.
        cert, key: the client's own certificate and key, PEM.
        insecure: take any certificate of the broker.
        require_at_start: end with an error when there is no connection within `start_timeout_s`.
        max_results_per_s: of each camera; every result unless given.
        acknowledge: a report leaves the device when a `collector` has stored it, or when the `broker` has it; `auto` waits for the
            collector where `outbox.path` is written, and elsewhere from the first one that is heard.
    """

    url: BrokerUrl | None = None
    username: str = ""
    password: SecretStr | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    client_id: str = Field(default="", max_length=256)
    keepalive_s: int = Field(default=15, ge=1, le=3600)
    will_delay_s: int = Field(default=10, ge=0, le=3600)
    connect_timeout_s: float = Field(default=5.0, gt=0, le=300)
    require_at_start: bool = False
    start_timeout_s: float = Field(default=10.0, gt=0, le=3600)
    flush_timeout_s: float = Field(default=7.0, ge=0, le=3600)
    max_results_per_s: float | None = Field(default=None, gt=0)
    acknowledge: Literal["auto", "broker", "collector"] = "auto"

    @model_validator(mode="after")
    def _tls_is_used(self) -> MqttSection:
        tls_fields = [name for name in ("ca", "cert", "key", "insecure") if getattr(self, name)]
        if self.url is not None and not self.url.tls and tls_fields:
            # Somebody wants encryption and would not get it.
            raise ValueError(f"{tls_fields[0]} is given, but url is mqtt://, which is not encrypted; write mqtts://")
        return self

    def address(self) -> BrokerAddress:
        """Return the broker with its login.

        Raises:
            InputError: no URL is set.
        """
        if self.url is None:
            raise InputError("No broker is set.", hint=BROKER_HINT)
        return self.url.with_login(self.username, self.password)

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS settings, or None for a plain connection.

        Raises:
            InputError: a certificate or key cannot be used.
        """
        if self.url is None or not self.url.tls:
            return None
        return tls_context(ca=self.ca, cert=self.cert, key=self.key, insecure=self.insecure)
