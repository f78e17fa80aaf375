"""Put a signature into a bundle: of a new statement, or beside those that made the same one."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesdk.signing.private_key import PrivateKey
from edgesdk_targets.bundle.package import Package
from edgesdk_targets.errors import InputError
from edgesdk_targets.signing.check import signatures_of
from edgesdk_targets.signing.signature_file import Signature, SignatureFile, Statement, signed_bytes

# 1 January 2026: a clock before that was never set, and its releases would be below all others.
_CLOCK_IS_SET = 1_767_225_600


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """What was written.

    Attributes:
        keys: the ids of all that signed; added: whether this key's signature is new.
    """

    path: Path
    statement: Statement
    keys: tuple[str, ...]
    added: bool


def sign_bundle(
    bundle: Package,
    key: PrivateKey,
    output: Path,
    *,
    release: int | None = None,
    again: bool = False,
    clock: Callable[[], float] = time.time,
) -> SignedBundle:
    """Sign an opened bundle.

    Args:
        release: must be above that of all releases before; the seconds since 1970 unless given. A device compares numbers
            and never asks its own clock.
        again: forget the signatures that there are, and make a new statement.

    Raises:
        InputError: it is signed with another release, the clock of this machine is not set, or it cannot be written.
        BadSignature: the signature that it has is damaged, or was made for other content.
        NoSpace: the disk is full.
    """
    before = None if again else signatures_of(bundle)
    if before is None:
        manifest = bundle.manifest
        number = _by_clock(clock) if release is None else release
        statement = Statement(bundle=bundle.digest, name=manifest.name, version=manifest.version, release=number)
    else:
        statement = before.read_statement()
        _check_same(bundle, statement, release)
    text = before.statement if before else statement.to_text()
    others = before.signatures if before else ()
    mine = next((one for one in others if one.key == key.public.id), None)
    if before is not None and mine is not None and key.public.verifies(mine.raw(), signed_bytes(text)):
        # Nothing to add; who asked for another file gets it all the same.
        if output.absolute() != bundle.path.absolute():
            bundle.write_signed(output, before.to_bytes())
        return SignedBundle(output, statement, tuple(one.key for one in others), added=False)
    made = Signature(key=key.public.id, value=base64.b64encode(key.sign(signed_bytes(text))).decode())
    signatures = (*(one for one in others if one.key != made.key), made)
    bundle.write_signed(output, SignatureFile(statement=text, signatures=signatures).to_bytes())
    return SignedBundle(output, statement, tuple(one.key for one in signatures), added=True)


def _check_same(bundle: Package, statement: Statement, release: int | None) -> None:
    """Never put one's name under what somebody else stated of another bundle, or under another number than was meant."""
    if statement.bundle != bundle.digest:
        raise InputError(
            f"The signature in {bundle.path} was made for another bundle.", hint="Replace it with --again."
        )
    if release is not None and release != statement.release:
        raise InputError(
            f"{bundle.path} is signed as release {statement.release}, not {release}.",
            hint="Leave --release away to sign beside it, or replace all signatures with --again.",
        )


def _by_clock(clock: Callable[[], float]) -> int:
    now = int(clock())
    if now < _CLOCK_IS_SET:
        raise InputError(
            "The clock of this machine is not set, so that it gives no number to the release.",
            hint="Set the clock, or give a number above the last one: --release N.",
        )
    return now
