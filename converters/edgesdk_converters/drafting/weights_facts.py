"""What a file of weights tells of the model it belongs to: the channels going in, the numbers coming out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from edgesdk_converters.framework_edge import needs
from edgesdk_converters.sniff import Kind
from edgesdk_converters.torch_source import load_pickled_weights
from edgesdk_targets.errors import InputError


def weight_shapes(path: Path, kind: Kind) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor by its name, in the file's order.

    Raises:
        InputError: the file is damaged or holds no weights.
        MissingExtra: torch is not installed.
    """
    return _safetensors_shapes(path) if kind is Kind.SAFETENSORS else _torch_shapes(path)


def input_channels(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Return how many channels the first convolution takes, where it is that of a picture."""
    first = next((shape for shape in shapes.values() if len(shape) == 4), None)
    return first[1] if first is not None and first[1] in {1, 3} else None


def output_width(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Return how many numbers the last layer gives."""
    matrices = [shape for name, shape in shapes.items() if len(shape) in {2, 4} and name.endswith("weight")]
    return matrices[-1][0] if matrices else None


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is a damaged safetensors file: {error}.", hint="Copy the file again.") from error


def _torch_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with needs("torch", extra="torch"):
        import torch
    data = load_pickled_weights(path)
    return {name: tuple(value.shape) for name, value in data.items() if isinstance(value, torch.Tensor)}
