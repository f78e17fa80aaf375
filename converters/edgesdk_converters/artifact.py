"""What is built for a target: the files of one variant and their borders, not yet proven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk_targets.tensor import TensorSpec


@dataclass(frozen=True, slots=True)
class Artifact:
    """The files of one variant, not yet compared with the source.

    Attributes:
        files: role → content.
        inputs, outputs: by the runtime's own names, in the source's order.
        folded: normalisation is inside; the image input takes pixels.
    """

    files: Mapping[str, bytes]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    folded: bool = False
    effective_precision: str = "f32"
    notes: tuple[str, ...] = ()
