"""How a device builds its engine from the bundle's ONNX, as data.

An engine fits only the GPU, driver and TensorRT it was built with; so the bundle carries the ONNX and this recipe.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec

# JetPack 6's; older ones lack the strongly typed mode that this ONNX is made for.
OLDEST_TENSORRT = "10.3"
# Tried first; the device halves it when memory is short.
WORKSPACE_MB = 1024


def build_recipe(*, inputs: Sequence[TensorSpec], precision: Precision) -> dict[str, object]:
    """Return the recipe for a model whose precision stands in its graph.

    Args:
        inputs: static shapes by the graph's names.
    """
    return {
        "schema": "tensorrt-recipe/1",
        "precision": precision.value,
        "strongly_typed": True,
        "workspace_mb": WORKSPACE_MB,
        "min_tensorrt": OLDEST_TENSORRT,
        "inputs": {spec.name: {"shape": list(spec.shape), "dtype": spec.dtype} for spec in inputs},
    }
