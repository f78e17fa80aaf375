"""What a release must be before it may be tried: the one that was promised, whole, signed, and for this device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edgesdk_agent.update.record import Release
from edgesdk_targets.agent_release.agent_release import kind_of, open_release
from edgesdk_targets.bundle.archive import Limits
from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.package import Package
from edgesdk_targets.errors import BadHash, BundleError
from edgesdk_targets.signing.check import check_digest, check_signature
from edgesdk_targets.signing.trusted_keys import TrustedKeys
from edgesdk_targets.variant_choice import choose_variants


@dataclass(frozen=True, slots=True)
class Proof:
    """How a bundle is proven here.

    Attributes:
        trusted: returns whose signature is asked for, asked each time, so that a key that is revoked holds no longer; None
            asks for none.
        target: of this device; None asks for whatever runs on it. variant: the one that is configured, if one is.
        released: asks a fleet's repository for a bundle by its digest and, once it is there, its file; raises BundleError where it
            is not released, FetchFailed where nobody can tell now.
        golden: the golden set by the production path, in a process of its own; raises BundleError where it is not met.
    """

    trusted: Callable[[], TrustedKeys] | None
    target: str | None = None
    variant: str | None = None
    limits: Limits = field(default_factory=Limits)
    released: Callable[[str, Path | None], None] | None = None
    golden: Callable[[Path], None] | None = None

    def identity(self, path: Path, release: Release) -> None:
        """Check that this is what was promised, whole, and signed.

        Raises:
            BundleError: it is not. That may be the fault of its way here: somebody in between must not be able to have a good
                release refused for ever, so nothing is held against the release.
        """
        with open_release(path, self.limits, accept=partial(self.accept, path)) as package:
            self._identity(package, release)
        self.check_released(release, path)

    def check_released(self, release: Release, path: Path | None = None) -> None:
        """Refuse what the fleet has not released, if it has a repository. Raises as `released`."""
        if self.released is not None:
            self.released(release.id, path)

    def fitness(self, path: Path) -> None:
        """Check that it can do its work on this device.

        Raises:
            BundleError: it cannot; that is the release's own fault, and stays so.
        """
        with open_bundle(path, self.limits) as bundle:
            choose_variants(bundle.manifest, target=self.target, variant_id=self.variant)
        if self.golden is not None:
            self.golden(path)

    def accept(self, path: Path, digest: str, signature: bytes | None) -> None:
        """Refuse what nobody trusted has signed; asked before a bundle is parsed. Raises BadSignature."""
        if self.trusted is not None:
            check_digest(path, digest, signature, self.trusted())

    def _identity(self, bundle: Package, release: Release) -> None:
        if (bundle.digest, kind_of(bundle)) != (release.id, release.kind):
            raise BadHash(
                f"What came is {bundle.digest[:19]}…, and {release.id[:19]}… was promised.",
                hint="Offer the bundle again.",
            )
        if (bundle.manifest.name, bundle.manifest.version) != (release.name, release.version):
            raise BadHash("The bundle has another name or version than was promised.", hint="Offer the bundle again.")
        if self.trusted is None:
            return
        stated = check_signature(bundle, self.trusted()).statement
        # The floor is compared with this number, so it must be the signer's and not the sender's.
        if stated.release != release.number:
            raise BundleError(
                f"The bundle is signed as release {stated.release}, and was offered as {release.number}.",
                hint="Offer it as the release that it is signed as.",
            )
