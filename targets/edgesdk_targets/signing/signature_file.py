"""`signature.json`: a statement about one bundle, and signatures over exactly that statement's bytes.

The statement names the bundle by its digest, which is the hash of the manifest, which holds the hash of every other file:
so it covers all of the bundle but itself. It is kept as text and signed as text. What is signed is never parsed and
written anew, so no two readers can see different things in it; nothing of it is believed before a signature holds.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesdk_targets.bundle.package import MAX_SIGNATURE_BYTES as MAX_BYTES
from edgesdk_targets.bundle.package import SIGNATURE
from edgesdk_targets.card import NAME, VERSION
from edgesdk_targets.errors import BadSignature

_MOST_SIGNATURES = 16
# No signature over these bytes can be passed off as one over anything else, nor the other way round.
_PURPOSE = b"edgesdk bundle signature, version 1\n"
_HINT = "Get the bundle from its maker again, or sign it again with `edgesdk bundle sign`."


class Statement(BaseModel):
    """What the signer says.

    Attributes:
        bundle: the digest, `sha256:…`.
        release: grows with every release; a device takes nothing below what it has confirmed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    schema_id: Literal["bundlestatement/1"] = Field(default="bundlestatement/1", alias="schema")
    bundle: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    name: str = Field(pattern=NAME)
    version: str = Field(pattern=VERSION)
    release: int = Field(ge=1, lt=1 << 53)

    def to_text(self) -> str:
        return json.dumps(self.model_dump(by_alias=True), sort_keys=True, separators=(",", ":"))


class Signature(BaseModel):
    """One key's signature over the statement's text.

    Attributes:
        key: the key's id; value: 64 bytes in base64.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    key: str = Field(pattern=r"^[0-9a-f]{32}$")
    value: str = Field(max_length=88)

    def raw(self) -> bytes:
        """Return the bytes; empty where the text is no base64, which no key verifies."""
        try:
            return base64.b64decode(self.value, validate=True)
        except (binascii.Error, ValueError):
            return b""


class SignatureFile(BaseModel):
    """The whole file.

    Attributes:
        statement: as text, exactly as it was signed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    schema_id: Literal["bundlesignature/1"] = Field(default="bundlesignature/1", alias="schema")
    statement: Annotated[str, Field(max_length=4096)]
    signatures: Annotated[tuple[Signature, ...], Field(min_length=1, max_length=_MOST_SIGNATURES)]

    def to_bytes(self) -> bytes:
        return json.dumps(self.model_dump(by_alias=True), sort_keys=True, indent=1).encode() + b"\n"

    def read_statement(self) -> Statement:
        """Return what is stated; to be called once a signature holds, or to show it as a claim.

        Raises:
            BadSignature: it is no statement that this edgesdk knows.
        """
        try:
            return Statement.model_validate_json(self.statement)
        except ValidationError as error:
            raise BadSignature(
                "The signature states something that this edgesdk does not understand.",
                hint="Update edgesdk on this machine, or sign the bundle again.",
            ) from error

    @classmethod
    def from_bytes(cls, data: bytes) -> SignatureFile:
        """Read the file.

        Raises:
            BadSignature: too large, not JSON, or a field is wrong.
        """
        if len(data) > MAX_BYTES:
            raise BadSignature(f"{SIGNATURE} is larger than {MAX_BYTES} bytes.", hint=_HINT)
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "JSON"
            raise BadSignature(f"{SIGNATURE} is damaged at {where}.", hint=_HINT) from error


def signed_bytes(statement: str) -> bytes:
    """Return what a key signs for a statement's text."""
    return _PURPOSE + statement.encode()
