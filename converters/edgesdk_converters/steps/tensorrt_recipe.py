"""What a device needs to know to build a TensorRT engine from our ONNX. Data only: nothing is built here.

Rule: the precision is in the graph (fp16 tensors and casts), so the builder keeps the graph's types (strongly typed, which
TensorRT 11 always does) and has no precision to choose; one ONNX serves TensorRT 10.3 (JetPack 6) and later.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_targets.errors import InputError
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec

SCHEMA = "tensorrt-recipe/1"
OLDEST_TENSORRT = "10.3"  # JetPack 6; strongly typed networks and opset 18 are complete there
FIRST_STRONGLY_TYPED = 10
WORKSPACE_MB = 1024


def build_recipe(
    *,
    inputs: Sequence[TensorSpec],
    precision: Precision,
    tensorrt: str | None = None,
    workspace_mb: int = WORKSPACE_MB,
) -> dict[str, object]:
    """Return the recipe, ready for JSON.

    Args:
        inputs: the graph's inputs; every dimension fixed.
        precision: what the graph's tensors are in; for the reader, the builder sees it in the graph.
        tensorrt: the version on the target; one older than 10 has no strongly typed mode, and takes the graph's types as
            hints.
        workspace_mb: scratch memory of the builder's first try.

    Raises:
        InputError: an input's size is open, or the scratch memory is none.
    """
    for spec in inputs:
        if any(length < 1 for length in spec.shape):
            raise InputError(
                f"The input {spec.name!r} has an open size {list(spec.shape)}; an engine is built for one size.",
                hint="Give `input.shape` in the model card.",
            )
    # A device with a newer TensorRT than the target's usual one takes the file too.
    oldest = min(tensorrt or OLDEST_TENSORRT, OLDEST_TENSORRT, key=_version)
    if workspace_mb < 1:
        raise InputError(f"{workspace_mb} MB of scratch memory is none.", hint="Give at least 1; 1024 is usual.")
    return {
        "schema": SCHEMA,
        "library": "tensorrt",
        "min_tensorrt": oldest,
        "strongly_typed": int(oldest.split(".")[0]) >= FIRST_STRONGLY_TYPED,
        "precision": precision.value,
        "workspace_mb": workspace_mb,
        "inputs": {spec.name: {"shape": list(spec.shape), "dtype": spec.dtype} for spec in inputs},
    }


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
