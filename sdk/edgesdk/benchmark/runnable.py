"""Which of a bundle's variants can be timed on this host, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import UnknownTarget
from edgesdk_targets.target import Runtime
from edgesdk_targets.variant_choice import choose_variants


@dataclass(frozen=True, slots=True)
class Runnable:
    """What was asked for, in two parts.

    Attributes:
        variants: with the runtime that runs each, the one that fits this host best first.
        missing: with the reason why each cannot run here.
    """

    variants: tuple[tuple[Variant, Runtime], ...]
    missing: tuple[tuple[Variant, str], ...]


def runnable(manifest: Manifest, *, target: str | None = None, variant_id: str | None = None) -> Runnable:
    """Find the variants that can run here.

    Raises:
        WrongTarget: none can, or there is none for this target or of this name.
    """
    choice = choose_variants(manifest, target=target, variant_id=variant_id)
    ways: dict[str, tuple[Variant, Runtime]] = {}
    for candidate in choice.candidates:
        # The first way is the best; a later one is a way out.
        ways.setdefault(candidate.variant.id, (candidate.variant, candidate.runtime))
    reasons = dict(choice.rejected)
    name = _canonical(target) if target else None
    missing = tuple(
        (variant, reasons.get(variant.id, "it cannot run here"))
        for variant in manifest.variants
        if variant.id not in ways and variant_id is None and name in {None, variant.target}
    )
    return Runnable(tuple(ways.values()), missing)


def _canonical(name: str) -> str:
    try:
        return find_target(name).name
    except UnknownTarget:
        return name
