"""The device's private key: made here, kept here, and what it signs; `cryptography` lives only in this file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from edgesdk_targets.enrolment import CERTIFICATE_HEADER, PROOF_HEADER, proof_text
from edgesdk_targets.errors import DeviceError, MissingExtra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


class DeviceKey:
    """A private key on the curve P-256.

    Raises:
        MissingExtra: cryptography is not installed.
        DeviceError: what was kept is no such key.
    """

    def __init__(self, pem: bytes | None = None) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError as error:
            raise MissingExtra("cryptography", "enrol") from error
        if pem is None:
            self._key: EllipticCurvePrivateKey = ec.generate_private_key(ec.SECP256R1())
            return
        try:
            found: Any = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise DeviceError("The device's key cannot be read.", hint="Enrol the device anew.") from error
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise DeviceError("The device's key is of another kind.", hint="Enrol the device anew.")
        self._key = found

    @property
    def pem(self) -> bytes:
        from cryptography.hazmat.primitives import serialization

        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def request(self) -> str:
        """Return a certificate request. It names nobody: the fleet knows for whom the token is."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def belongs_to(self, certificate_pem: str) -> bool:
        """Tell whether a certificate is for this key."""
        from cryptography import x509

        try:
            return x509.load_pem_x509_certificate(certificate_pem.encode()).public_key() == self._key.public_key()
        except ValueError:
            return False

    def proof(self, method: str, path: str, body: bytes, *, certificate_pem: str, at: int) -> dict[str, str]:
        """Return the headers that prove who sends this request. Raises DeviceError."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        signature = self._key.sign(proof_text(method, path, at, body), ec.ECDSA(hashes.SHA256()))
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        except ValueError as error:
            raise DeviceError("The device's certificate cannot be read.", hint="Enrol the device anew.") from error
        der = certificate.public_bytes(serialization.Encoding.DER)
        return {
            CERTIFICATE_HEADER: base64.b64encode(der).decode(),
            PROOF_HEADER: f"{at}:{base64.b64encode(signature).decode()}",
        }
