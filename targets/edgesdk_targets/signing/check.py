"""Is a bundle signed by somebody who is trusted here? One good signature is enough; a revoked key's never counts.

`check_digest` needs nothing but the digest and the signature, so that a device asks it before it parses anything else of
what a stranger may have made; `check_signature` is for a bundle that is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk_targets.bundle.package import SIGNATURE, Package
from edgesdk_targets.errors import BadSignature, RevokedKey, UnknownKey, Unsigned
from edgesdk_targets.signing.public_key import PublicKey
from edgesdk_targets.signing.signature_file import SignatureFile, Statement, signed_bytes
from edgesdk_targets.signing.trusted_keys import TrustedKeys

_AGAIN = "Do not use this file; get the bundle from its maker again."


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds.

    Attributes:
        by: the trusted keys that signed.
    """

    statement: Statement
    by: tuple[PublicKey, ...]


def signatures_of(bundle: Package) -> SignatureFile | None:
    """Return what an opened bundle carries, unchecked; None where it is not signed.

    Raises:
        BadSignature: the file is damaged.
    """
    data = bundle.signature()
    return None if data is None else SignatureFile.from_bytes(data)


def check_signature(bundle: Package, trusted: TrustedKeys) -> Signed:
    """Return who of the trusted signed an opened bundle, and what was stated.

    Raises:
        BadSignature: the name or version is another than was signed; and as `check_digest`.
        MissingExtra: cryptography is not installed.
    """
    signed = check_digest(bundle.path, bundle.digest, bundle.signature(), trusted)
    stated, manifest = signed.statement, bundle.manifest
    if (stated.name, stated.version) != (manifest.name, manifest.version):
        raise BadSignature(f"The signature in {bundle.path} gives it another name or version.", hint=_AGAIN)
    return signed


def check_digest(path: Path, digest: str, signature: bytes | None, trusted: TrustedKeys) -> Signed:
    """Return who of the trusted signed a digest, and what was stated.

    Args:
        path: for messages.
        signature: the content of `signature.json`, unchecked; None where there is none.

    Raises:
        Unsigned: there is no signature.
        RevokedKey: the keys that signed are known, and trusted no more.
        UnknownKey: none of the keys that signed is known here.
        BadSignature: the signature was altered, or belongs to another bundle.
        MissingExtra: cryptography is not installed.
    """
    if signature is None:
        raise Unsigned(
            f"{path} is not signed.", hint="Sign it where it was made: `edgesdk bundle sign BUNDLE --key NAME`."
        )
    file = SignatureFile.from_bytes(signature)
    by = _signers(path, file, trusted)
    statement = file.read_statement()
    if statement.bundle != digest:
        raise BadSignature(
            f"The signature in {path} is for {statement.name} {statement.version} with other content "
            f"({statement.bundle[:19]}…, this is {digest[:19]}…).",
            hint=_AGAIN,
        )
    return Signed(statement, by)


def _signers(path: Path, file: SignatureFile, trusted: TrustedKeys) -> tuple[PublicKey, ...]:
    message = signed_bytes(file.statement)
    by: list[PublicKey] = []
    broken: list[PublicKey] = []
    revoked: list[str] = []
    for signature in file.signatures:
        if (why := trusted.revoked.get(signature.key)) is not None:
            revoked.append(f"{_name(trusted, signature.key)}{f' ({why})' if why else ''}")
        elif (key := trusted.keys.get(signature.key)) is not None:
            (by if key.verifies(signature.raw(), message) else broken).append(key)
    if by:
        return tuple(dict.fromkeys(by))
    # The worst first: somebody who alters a signature would be glad of a message that speaks of keys.
    if broken:
        raise BadSignature(
            f"The signature of {broken[0].name} in {path} does not hold: {SIGNATURE} was altered.", hint=_AGAIN
        )
    if revoked:
        raise RevokedKey(
            f"{path} is signed by a key that is revoked: {', '.join(revoked)}.",
            hint="Get a bundle that is signed with a key that is good.",
        )
    ids = ", ".join(signature.key for signature in file.signatures)
    known = ", ".join(f"{key.name} {key.id}" for key in trusted.good) or "none"
    raise UnknownKey(
        f"{path} is signed by {ids}, which is not trusted here; trusted: {known}.",
        hint="If you know the signer, add the line of the key to the trusted keys; else do not use this file.",
    )


def _name(trusted: TrustedKeys, key_id: str) -> str:
    key = trusted.keys.get(key_id)
    return f"{key.name} {key_id}" if key else key_id
