"""What a conversion gave: the bundle, its variants, and what was learnt on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk_targets.bundle.manifest import Variant


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was built.

    Attributes:
        path: the bundle.
        digest: of its manifest, `sha256:…`.
        variants: in the order of the targets; each has its parity, accuracy and notes.
        sizes: bytes of each variant's files, by variant id.
        warnings: what looked like a mistake.
        sensitivity: for each quantisable layer what it costs alone, worst first; empty unless it was asked for.
    """

    path: Path
    digest: str
    variants: tuple[Variant, ...]
    sizes: Mapping[str, int]
    warnings: tuple[str, ...]
    sensitivity: tuple[Mapping[str, Any], ...] = ()

    @property
    def unproven(self) -> tuple[Variant, ...]:
        """The variants that no gate passed: too few samples, or nothing here to run them on."""
        return tuple(v for v in self.variants if v.accuracy.get("outcome") != "pass")

    def to_json(self) -> dict[str, object]:
        return {
            "bundle": str(self.path),
            "digest": self.digest,
            "variants": [
                {
                    "id": v.id,
                    "target": v.target,
                    "runtime": v.runtime.value,
                    "precision": v.precision.value,
                    "effective_precision": v.effective_precision,
                    "bytes": self.sizes[v.id],
                    "parity": v.parity,
                    "accuracy": v.accuracy,
                    "status": v.status,
                    "notes": list(v.notes),
                }
                for v in self.variants
            ],
            "warnings": list(self.warnings),
            **({"sensitivity": [dict(layer) for layer in self.sensitivity]} if self.sensitivity else {}),
        }
