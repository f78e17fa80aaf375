"""The files of a bundle's variants, as a runtime takes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesdk_targets.bundle.bundle import open_bundle
from edgesdk_targets.bundle.manifest import Variant


@dataclass(frozen=True, slots=True)
class Artifact:
    """The files of one variant.

    Attributes:
        model: the file with the layers; weights of its own lie beside it.
    """

    variant: Variant
    model: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input, for one picture."""
        (spec,) = self.variant.inputs
        return tuple(spec.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        (spec,) = self.variant.inputs
        return np.dtype(spec.dtype)


@contextmanager
def artifacts_of(bundle: Path) -> Iterator[list[Artifact]]:
    """Write the files of a bundle's variants into a folder of their own, until the end of the block."""
    with TemporaryDirectory() as folder, open_bundle(bundle) as opened:
        found = []
        for number, variant in enumerate(opened.manifest.variants):
            place = Path(folder) / str(number)
            place.mkdir()
            for name in variant.files.values():
                (place / f"model{Path(name).suffix}").write_bytes(opened.read(name))
            (model,) = (path for path in place.iterdir() if path.suffix != ".bin")
            found.append(Artifact(variant, model))
        yield found
