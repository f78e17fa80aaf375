"""The passes as data; a pass's own module is imported when it runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from edgesdk.compression.workbench import Pass


@dataclass(frozen=True, slots=True)
class PassKind:
    """One kind of pass.

    Attributes:
        where: `module:function` of what does it.
        stage: passes are run in the order of their stages.
        costs: it costs accuracy, which training wins back.
        learns: it is itself a training.
        sensitivity: of what it is measured before the pass, where the recipe wants that.
        help: one line.
    """

    where: str
    stage: int
    help: str
    costs: bool = False
    learns: bool = False
    sensitivity: Literal["groups", "layers"] | None = None

    def load(self) -> Pass:
        """Import what does it."""
        module, _, function = self.where.partition(":")
        return cast("Pass", getattr(importlib.import_module(module), function))


PASSES: Mapping[str, PassKind] = {
    "tie": PassKind("edgesdk.compression.tie_layers:tie_pass", 1, "Layers use one weight.", costs=True),
    "prune": PassKind(
        "edgesdk.compression.prune_channels:prune_pass", 2, "Whole channels go.", costs=True, sensitivity="groups"
    ),
    "factorise": PassKind(
        "edgesdk.compression.factorise_by_layer:factorise_pass",
        3,
        "A layer becomes two thin ones.",
        costs=True,
        sensitivity="layers",
    ),
    "distil": PassKind(
        "edgesdk.compression.distil:distil_pass", 4, "The model learns what a larger one answers.", learns=True
    ),
    "sparsify": PassKind(
        "edgesdk.compression.prune_weights:sparsify_pass", 5, "The smallest weights become 0.", costs=True
    ),
    "fold": PassKind("edgesdk.compression.fold_norms:fold_pass", 6, "Normalisations become part of layers."),
    "cluster": PassKind(
        "edgesdk.compression.cluster_by_layer:cluster_pass",
        7,
        "Weights hold few distinct numbers.",
        costs=True,
        sensitivity="layers",
    ),
    "qat": PassKind(
        "edgesdk.compression.quantise_aware:qat_pass",
        8,
        "The model learns with numbers rounded to 8 bits.",
        learns=True,
    ),
}
