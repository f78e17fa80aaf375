"""The fleet's own certificate authority: one folder, one key, and what it signs.

    ca.key   the authority's private key, 0600; whoever has it can be any device
    ca.crt   its certificate; every device and the broker trust it
    crl.pem  the certificates that are no longer good; the broker reads it
    services/  the same three files of a second authority, which signs the fleet's own services and nobody else

Which certificates were given to whom is in the store. The authority knows two kinds of clients, and no name can be both:
devices, whose name is a node (`tenant.device`, with a dot), and services of the fleet, whose name has none. The broker
lets a service name its session as it likes, so what a device holds must not open that door: hence the second authority.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgesdk.fleet.enrol.certificate import (
    certificate_pem,
    client_certificate,
    common_name,
    fingerprint,
    key_pem,
    new_authority,
    new_key,
    read_request,
    server_certificate,
)
from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import Node, check_name
from edgesdk_targets.whole_file import OWNER_ONLY, disk_errors, write_whole

DEVICE_DAYS = 90
_SERVER_DAYS = 825
_AUTHORITY_DAYS = 3650
_SERVICES = "services"
# The broker asks for a valid list; one that ran out would lock everybody out.
_LIST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was just made.

    Attributes:
        serial: in hexadecimal digits, as the list of revoked ones names it.
        sha256: of the certificate.
    """

    name: str
    pem: str
    serial: str
    sha256: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that is no longer good."""

    serial: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ServerPair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """The authority in a folder; `create` makes a new one, `open` reads what is there."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.folder = folder
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, folder: Path, *, name: str = "edgesdk fleet", days: int = _AUTHORITY_DAYS) -> Authority:
        """Make an authority in a folder that has none.

        Raises:
            InputError: there is one already, or the folder cannot be written.
        """
        if (folder / "ca.key").exists():
            raise InputError(f"{folder} holds an authority already.", hint="Use it, or name another folder.")
        key = new_key()
        made = cls(folder, key, new_authority(name, key, timedelta(days=days), _now()))
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(folder / "ca.key", key_pem(key), OWNER_ONLY)
            (folder / "ca.crt").write_bytes(made.certificate_pem)
            (folder / "crl.pem").write_bytes(made.revocation_list(()))
        return made

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Open the authority in a folder.

        Raises:
            InputError: there is none, or its files do not belong together.
        """
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{folder} holds no authority that can be used.",
                hint=f"`edgesdk fleet broker-config --authority {folder}` makes one.",
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
            raise InputError(f"In {folder}, ca.key is not the key of ca.crt.", hint="Restore both from one backup.")
        return cls(folder, key, certificate)

    @classmethod
    def open_or_create(cls, folder: Path) -> Authority:
        """Open the authority in a folder, or make it where there is none."""
        return cls.open(folder) if (folder / "ca.key").exists() else cls.create(folder)

    def for_services(self) -> Authority:
        """Return the authority that signs services, made where it is absent: a device's certificate is none of its."""
        folder = self.folder / _SERVICES
        return self.open(folder) if (folder / "ca.key").exists() else self.create(folder, name="edgesdk fleet services")

    @property
    def certificate_pem(self) -> bytes:
        return certificate_pem(self._certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, in hexadecimal digits."""
        return fingerprint(self._certificate)

    def sign_device(self, request: bytes, node: Node, *, days: float = DEVICE_DAYS) -> Issued:
        """Sign a device's request; the certificate says that its holder is `node`, and nothing else.

        Raises:
            BadRequest: it is not one that this authority signs.
        """
        key = read_request(request, node)
        valid = timedelta(days=days)
        return _issued(client_certificate(str(node), key, valid, _now(), (self._certificate, self._key)))

    def service(self, name: str, *, days: float = _SERVER_DAYS) -> ServerPair:
        """Make key and certificate of a part of the fleet: the collector, the web service, a person's watch.

        For the broker's port of services it must come from `for_services()`.

        Raises:
            InputError: the name could be a device's.
        """
        check_name(name, "service")
        key = new_key()
        made = client_certificate(name, key.public_key(), timedelta(days=days), _now(), (self._certificate, self._key))
        return ServerPair(certificate_pem(made), key_pem(key))

    def server(self, hosts: Sequence[str], *, days: float = _SERVER_DAYS) -> ServerPair:
        """Make key and certificate of a server that is reached by these names and addresses.

        Raises:
            InputError: one is neither a name nor an address.
        """
        key = new_key()
        made = server_certificate(hosts, key.public_key(), timedelta(days=days), _now(), (self._certificate, self._key))
        return ServerPair(certificate_pem(made), key_pem(key))

    def revocation_list(self, revoked: Iterable[Revoked]) -> bytes:
        """Return the signed list of certificates that are no longer good, as PEM."""
        now = _now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=_LIST_DAYS))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(one.serial, 16)).revocation_date(one.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def signed(self, certificate: x509.Certificate) -> bool:
        """Tell whether this authority made a certificate."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:  # noqa: BLE001  (the library's border: it raises many kinds for what is not ours)
            return False
        return True

    def device_of(self, certificate: x509.Certificate, now: datetime) -> Node | None:
        """Return the device that a certificate of this authority names; None if it is not ours, or not valid now."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
            node = Node.parse(common_name(certificate.subject))
        except Exception:  # noqa: BLE001  (the library's border: whatever is wrong with it, it proves nothing)
            return None
        return node if certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc else None


def _issued(certificate: x509.Certificate) -> Issued:
    return Issued(
        name=common_name(certificate.subject),
        pem=certificate_pem(certificate).decode(),
        serial=f"{certificate.serial_number:x}",
        sha256=fingerprint(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
