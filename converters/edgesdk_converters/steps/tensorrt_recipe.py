"""What a device needs to know to build a TensorRT engine from our ONNX. Data only: nothing is built here.

Rule: the precision is in the graph (fp16 tensors and casts, or symmetric QDQ), so a builder that keeps the graph's types
(strongly typed: TensorRT 10 when told, 11 and RTX always) has no precision to choose; one ONNX serves TensorRT 10.3
(JetPack 6) and later. The recipe's form is the device's own: `edgesdk_targets.runtimes.tensorrt_recipe`.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_targets.errors import InputError
from edgesdk_targets.runtimes.tensorrt_recipe import Library, Recipe
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec

OLDEST_TENSORRT = "10.3"  # JetPack 6; strongly typed networks and opset 18 are complete there
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
        precision: what the graph's tensors are in; TensorRT 8, which has no strongly typed mode, is told it.
        tensorrt: the version that comes with the target's system; where none does, the target is a PC with a graphics
            card, for which TensorRT-RTX may build too.
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
    if workspace_mb < 1:
        raise InputError(f"{workspace_mb} MB of scratch memory is none.", hint="Give at least 1; 1024 is usual.")
    libraries: tuple[Library, ...] = ("tensorrt",) if tensorrt else ("tensorrt", "tensorrt_rtx")
    return Recipe(
        libraries=libraries,
        # A device with a newer TensorRT than the target's usual one takes the file too.
        min_tensorrt=min(tensorrt or OLDEST_TENSORRT, OLDEST_TENSORRT, key=_version),
        precision=precision,
        workspace_mb=workspace_mb,
    ).to_json()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
