"""The folder of a hardened broker: its configuration, its rules, its certificate, and certificates of the services."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from edgesdk.fleet.enrol.authority import Authority
from edgesdk.fleet.hardened_broker import HardenedBroker
from edgesdk_targets.whole_file import OWNER_ONLY, disk_errors, write_whole


def write_broker_files(folder: Path, broker: HardenedBroker, authority: Authority, names: tuple[str, ...]) -> list[str]:
    """Write all of it, and return the files' names in the folder.

    The list of revoked certificates is the authority's present one. Certificates of services that are there already
    stay, so that running this again locks nobody out; one that the port of services would refuse is made anew.

    Args:
        names: names and addresses by which the broker is reached.

    Raises:
        InputError: a name is none, or the folder cannot be written.
    """
    services = authority.for_services()
    pair = authority.server((*names, "localhost", "127.0.0.1"))
    public = {
        "mosquitto.conf": broker.config_text().encode(),
        "acl": broker.acl_text().encode(),
        "ca.crt": authority.certificate_pem,
        "crl.pem": (authority.folder / "crl.pem").read_bytes(),
        "services-ca.crt": services.certificate_pem,
        "services-crl.pem": (services.folder / "crl.pem").read_bytes(),
        "broker.crt": pair.certificate,
    }
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "broker.key", pair.key, OWNER_ONLY)
        for name, content in public.items():
            write_whole(folder / name, content)
        written = [*public, "broker.key"]
        for service in (*broker.services, *broker.readers):
            written += _service_files(folder / "services", service, services)
    return written


def _service_files(folder: Path, service: str, authority: Authority) -> list[str]:
    folder.mkdir(exist_ok=True, mode=0o700)
    if not (folder / f"{service}.key").exists() or not _signed(folder / f"{service}.crt", authority):
        pair = authority.service(service)
        write_whole(folder / f"{service}.key", pair.key, OWNER_ONLY)
        write_whole(folder / f"{service}.crt", pair.certificate)
    return [f"services/{service}.crt", f"services/{service}.key"]


def _signed(certificate: Path, authority: Authority) -> bool:
    try:
        return authority.signed(x509.load_pem_x509_certificate(certificate.read_bytes()))
    except (OSError, ValueError):
        return False
