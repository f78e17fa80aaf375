"""A device's proof that it holds the key of its certificate, checked: see `edgesdk_targets.enrolment`."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from edgesdk_targets.enrolment import PROOF_WITHIN_S, proof_text

_MAX_HEADER = 8192


class NoProof(Exception):
    """What was sent proves nothing."""


def check_proof(method: str, path: str, body: bytes, *, certificate: str, proof: str, now: float) -> x509.Certificate:
    """Return the certificate whose key signed this request; whose it is and whether it is good is not looked at.

    Args:
        certificate: DER in base64, as its header has it.
        proof: `{seconds since 1970}:{signature in base64}`, as its header has it.
        now: seconds since 1970.

    Raises:
        NoProof: something is missing, too old, or not signed by that key.
    """
    if len(certificate) > _MAX_HEADER or len(proof) > _MAX_HEADER:
        raise NoProof("too long")
    when, _, signature = proof.partition(":")
    if not when.isdecimal() or len(when) > 12 or abs(now - int(when)) > PROOF_WITHIN_S:
        raise NoProof("no time, or one that is too far away")
    try:
        holder = x509.load_der_x509_certificate(base64.b64decode(certificate, validate=True))
        key = holder.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise NoProof("not a key of ours")
        text = proof_text(method, path, int(when), body)
        key.verify(base64.b64decode(signature, validate=True), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, TypeError, binascii.Error) as error:
        raise NoProof("not signed by that key") from error
    return holder
