"""Certificates as the fleet makes them: who may be named in one, and what is read out of a request or a certificate.

Pure functions over `cryptography`; which certificate is given to whom is the authority's business.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.topics import Node

MAX_REQUEST_BYTES = 8192
# A device whose clock is a little behind must not find its new certificate to be of the future.
_BEFORE = timedelta(minutes=10)
_HOST = re.compile(
    r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)


class BadRequest(EdgeError):
    """A certificate request is not one that the authority signs."""

    code = "bad_request"


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a private key on the curve P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def common_name(subject: x509.Name) -> str:
    """Return the one name in a subject, or an empty text where there is none or more than one."""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 over the whole certificate, in hexadecimal digits: what an install line pins."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 over the public key, in hexadecimal digits: the same for every certificate of one key."""
    return _of_key(certificate.public_key())


def request_key_fingerprint(pem: bytes) -> str:
    """Return SHA-256 over the public key of a request that was read before."""
    return _of_key(x509.load_pem_x509_csr(pem).public_key())


def _of_key(key: CertificatePublicKeyTypes) -> str:
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def read_request(pem: bytes, node: Node) -> ec.EllipticCurvePublicKey:
    """Read a certificate request and return the key in it.

    Nothing else of it is used: the name in the certificate is the one that the token was made for, whatever was asked.

    Raises:
        BadRequest: it is no request, not signed by its own key, for another key than P-256, or names somebody else.
    """
    if len(pem) > MAX_REQUEST_BYTES:
        raise BadRequest("The certificate request is too large.", hint=f"At most {MAX_REQUEST_BYTES} bytes of PEM.")
    try:
        request = x509.load_pem_x509_csr(pem)
        genuine = request.is_signature_valid
        key = request.public_key()
        named = common_name(request.subject)
    except Exception as error:  # the library's border: it raises many kinds for bytes from outside
        raise BadRequest("This is no certificate request.", hint="Send PKCS#10 as PEM.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRequest("The key is not an elliptic curve key on P-256.", hint="Make one with `edgesdk agent enrol`.")
    if not genuine:
        raise BadRequest("The request is not signed by its own key.", hint="Make a new one.")
    if named not in ("", str(node)):
        raise BadRequest(
            f"The request is for {named[:140]!r}, but the token is for {node}.", hint="Ask for a token of its own."
        )
    return key


def new_authority(name: str, key: ec.EllipticCurvePrivateKey, valid: timedelta, now: datetime) -> x509.Certificate:
    """Make the authority's own certificate: it signs devices and lists of revoked ones, and no other authority."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        _builder(subject, key.public_key(), valid, now)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def client_certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    valid: timedelta,
    now: datetime,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
) -> x509.Certificate:
    """Make a certificate with which somebody says to be `name`; it opens no server."""
    return _leaf(name, key, valid, now, issuer, ExtendedKeyUsageOID.CLIENT_AUTH).sign(issuer[1], hashes.SHA256())


def server_certificate(
    hosts: Sequence[str],
    key: ec.EllipticCurvePublicKey,
    valid: timedelta,
    now: datetime,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
) -> x509.Certificate:
    """Make a certificate for a server that is reached by these names and addresses; it is no client.

    Raises:
        InputError: none is given, or one is neither a name nor an address.
    """
    if not hosts:
        raise InputError("A server's certificate needs a name.", hint="Give the host by which devices reach it.")
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    return (
        _leaf(hosts[0][:64], key, valid, now, issuer, ExtendedKeyUsageOID.SERVER_AUTH)
        .add_extension(names, critical=False)
        .sign(issuer[1], hashes.SHA256())
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host):
            raise InputError(
                f"{host[:100]!r} is no host's name or address.", hint="Such as fleet.example.org."
            ) from None
        return x509.DNSName(host)


def _leaf(
    name: str,
    key: ec.EllipticCurvePublicKey,
    valid: timedelta,
    now: datetime,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    authority = issuer[0]
    return (
        _builder(subject, key, min(valid, authority.not_valid_after_utc - now), now)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key()), critical=False)
    )


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, valid: timedelta, now: datetime
) -> x509.CertificateBuilder:
    now = now.astimezone(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
