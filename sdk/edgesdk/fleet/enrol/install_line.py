"""The one line that a person pastes on a device.

It pins the key of the service's certificate, and the authority's certificate: what is fetched and run is the fleet's, or
nothing is run at all, whatever stands between. The token is good for one device and for a short time, and reaches the
script ahead of the script itself: in an argument everybody on the device could read it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edgesdk_targets.errors import InputError

TOKEN_VARIABLE = "EDGESDK_ENROL_TOKEN"  # noqa: S105  (the name of a variable)


@dataclass(frozen=True, slots=True)
class Service:
    """Where devices reach the fleet's service.

    Attributes:
        url: `https://host[:port]`, as devices reach it.
        pin: of the service's key, as `pin_of` gives it; empty for one whose certificate every device trusts anyway.
        ca_sha256: of the fleet's authority; empty likewise.
    """

    url: str
    pin: str = ""
    ca_sha256: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        plain = re.fullmatch(r"https://[A-Za-z0-9._:\[\]-]+", self.url)
        if plain is None or not parts.hostname:
            raise InputError(
                f"{self.url[:100]!r} is no address of the fleet's service.", hint="https://fleet.example.org:8443"
            )


def pin_of(certificate_pem: bytes) -> str:
    """Return SHA-256 of a certificate's public key, in base64, as curl's `--pinnedpubkey` takes it."""
    key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


def install_line(service: Service, token: str, *, options: tuple[str, ...] = (), sudo: bool = True) -> str:
    """Return the line.

    Args:
        options: further options of `edgesdk agent enrol` and of the script, such as `--no-service`.
    """
    # With the key pinned, curl may let the authority's name go unchecked (-k): it checks the key itself all the same.
    trust = f" -k --pinnedpubkey 'sha256//{service.pin}'" if service.pin else ""
    arguments = ["--server", service.url]
    if service.ca_sha256:
        arguments += ["--ca-sha256", service.ca_sha256]
    words = " ".join(shlex.quote(word) for word in (*arguments, *options))
    # `echo` is the shell's own, no program with arguments; `sudo` may not hand an environment on.
    fetched = f"curl -fsSL --proto '=https'{trust} {service.url}/enrol/install.sh"
    token_first = f"echo {TOKEN_VARIABLE}={shlex.quote(token)}"
    return f"{{ {token_first}; {fetched}; }} | {'sudo ' if sudo else ''}sh -s -- {words}"
