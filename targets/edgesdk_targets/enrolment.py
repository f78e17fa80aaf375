"""What a device and its fleet say to each other over HTTPS when the device gets its identity, and when it renews it.

    POST /enrol/claim    token and request      → certificate, authority, broker, configuration
    POST /enrol/renew    request, with a proof  → certificate
    GET  /enrol/bundles/DIGEST    with a proof  → the bundle's bytes

A proof is a signature by the device's present key, so that it works through any proxy that ends TLS. It covers method,
path, time and the body's digest; both sides make the text that is signed by `proof_text`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from edgesdk_targets.late_model import LateModel
from edgesdk_targets.messages.envelope import JsonObject, NodeName, ShortText, Timestamp

CLAIM_PATH = "/enrol/claim"
RENEW_PATH = "/enrol/renew"
AUTHORITY_PATH = "/enrol/ca.crt"
BUNDLES_PATH = "/enrol/bundles/"
CERTIFICATE_HEADER = "Edgesdk-Certificate"
PROOF_HEADER = "Edgesdk-Proof"
# How far a device's clock may be from the fleet's.
PROOF_WITHIN_S = 300
MAX_CLAIM_BYTES = 32_768
MAX_ANSWER_BYTES = 1 << 20
# What a device writes into its file by itself, by section.
_FILLED_IN = {"mqtt": ("url", "ca", "cert", "key"), "outbox": ("path",)}

Pem = Annotated[str, Field(max_length=16_384)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# What a device may be told to fetch: one file, which no text makes a path of.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]


class _Said(LateModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Claim(_Said):
    """A device asks for the identity that its token was made for.

    Attributes:
        request: PKCS#10 as PEM; the key never leaves the device.
        name: what the device would like to be called, where the token leaves it open.
    """

    token: Annotated[str, Field(min_length=8, max_length=200)]
    request: Pem
    name: ShortText = ""


class Renewal(_Said):
    """A device asks for another certificate of the identity that it has."""

    request: Pem


class BundleToFetch(_Said):
    """A bundle that the device is to have before it starts."""

    name: FileName
    sha256: Digest
    size_bytes: Annotated[int, Field(ge=1, le=1 << 40)]


class Certified(_Said):
    """A certificate, and the authority that signed it."""

    node: NodeName
    certificate: Pem
    authority: Pem
    not_before: Timestamp
    not_after: Timestamp


class Claimed(Certified):
    """The answer to a claim.

    Attributes:
        broker: where to report, `mqtts://…`.
        configuration: of the agent, as in edgesdk.yaml, without what only the device knows: where its files lie.
        bundle: what the configuration runs; None where the device has it already.
    """

    broker: ShortText
    configuration: JsonObject = Field(default_factory=dict)
    bundle: BundleToFetch | None = None


def proof_text(method: str, path: str, at: int, body: bytes) -> bytes:
    """Return what is signed: one line each for purpose, method, path, seconds since 1970, and SHA-256 of the body."""
    lines = ("edgesdk-proof/1", method.upper(), path, str(at), hashlib.sha256(body).hexdigest())
    return "\n".join(lines).encode()


def configuration_digest(document: dict[str, JsonValue]) -> str:
    """Return what tells two configurations apart that were written down alike; 16 hexadecimal digits.

    Of the bundle only its name counts, with or without its suffix. What the device fills in by itself (who it is, where its
    broker and its files are) does not: so the fleet can tell what a device's file should be.
    """
    import json

    kept = {name: value for name, value in document.items() if name != "device"}
    for section, own in _FILLED_IN.items():
        found = kept.get(section)
        if isinstance(found, dict):
            rest = {name: value for name, value in found.items() if name not in own}
            kept = {**kept, section: rest} if rest else {k: v for k, v in kept.items() if k != section}
    bundle = kept.get("bundle")
    if isinstance(bundle, str):
        kept["bundle"] = re.split(r"[/\\]", bundle)[-1].removesuffix(".edgebundle")
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
