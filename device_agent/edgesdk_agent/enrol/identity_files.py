"""Where a device keeps who it is.

identity/device.pem     key and certificate in one file, 0600, so that both change in one step
identity/ca.crt         the fleet's authority
identity/identity.json  the fleet's address, and from when to when the certificate holds
identity/claiming.key   a key that is being claimed for; gone afterwards
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edgesdk_targets.enrolment import Certified
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages.envelope import NodeName, Timestamp
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class IdentityFacts(BaseModel):
    """What is known of the identity without looking into certificates.

    Attributes:
        pinned: the service's certificate is the fleet's own authority's; else the system's authorities are asked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    node: NodeName
    server: str
    pinned: bool
    not_before: Timestamp
    not_after: Timestamp


class IdentityFiles:
    """The files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.device = folder / "device.pem"
        self.ca = folder / "ca.crt"
        self._facts = folder / "identity.json"
        self._claiming = folder / "claiming.key"

    def exists(self) -> bool:
        return self._facts.exists()

    def facts(self) -> IdentityFacts:
        """Return what is known of the identity.

        Raises:
            InputError: there is none, or its file is damaged.
        """
        try:
            return IdentityFacts.model_validate_json(self._facts.read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(f"{self.folder} holds no identity.", hint="edgesdk agent enrol") from error

    def key_and_certificate(self) -> tuple[bytes, str]:
        """Return the device's key and its certificate, as PEM. Raises InputError."""
        try:
            key, mark, certificate = self.device.read_text("ascii").partition(_CERTIFICATE)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.device} cannot be read.", hint="Enrol the device anew.") from error
        return key.encode(), mark + certificate

    def authority(self) -> str:
        """Return the authority's certificate. Raises InputError."""
        try:
            return self.ca.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.ca} cannot be read.", hint="Enrol the device anew.") from error

    def claiming(self) -> bytes | None:
        """Return the key of a claim that was begun and not ended."""
        return self._claiming.read_bytes() if self._claiming.exists() else None

    def begin_claim(self, key_pem: bytes) -> None:
        """Keep a key before it is claimed for: should the answer be lost, the same key may ask again."""
        self._make_folder()
        write_whole(self._claiming, key_pem, OWNER_ONLY)

    def keep(self, key_pem: bytes, certified: Certified, *, server: str, pinned: bool) -> None:
        """Keep a new identity; what is in effect changes in the step that replaces device.pem."""
        self._make_folder()
        facts = IdentityFacts(
            node=certified.node,
            server=server,
            pinned=pinned,
            not_before=certified.not_before,
            not_after=certified.not_after,
        )
        write_whole(self.ca, certified.authority.encode("ascii"), OWNER_ONLY)
        write_whole(self.device, key_pem + certified.certificate.encode("ascii"), OWNER_ONLY)
        write_whole(self._facts, facts.model_dump_json(indent=2).encode(), OWNER_ONLY)
        self._claiming.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
