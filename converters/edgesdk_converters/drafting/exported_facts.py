"""What a `.pt2` says of a model's border."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_converters.drafting.onnx_facts import ModelFacts
from edgesdk_converters.sniff import Kind
from edgesdk_converters.torch_source import load_torch
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import DTYPES, DYNAMIC, TensorSpec

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def read_exported(path: Path) -> ModelFacts:
    """Read a `.pt2` made by torch.export.save.

    Raises:
        InputError: a tensor has a type that edgesdk does not handle.
        StepFailed: torch cannot load the file.
        MissingExtra: torch is not installed.
    """
    program: ExportedProgram = load_torch(  # type: ignore[assignment]  # of this kind it gives a program
        path, Kind.EXPORTED, factory=None, factory_args={}, folder=path.parent
    )
    nodes = {node.name: node for node in program.graph.nodes}
    signature = program.graph_signature
    inputs = tuple(_spec(name, nodes[name]) for name in signature.user_inputs if name in nodes)
    made = [name for name in signature.user_outputs if name in nodes]
    names = _names([tuple(nodes[name].meta["val"].shape) for name in made])
    outputs = tuple(_spec(name, nodes[node]) for name, node in zip(names, made, strict=True))
    makers = {name: op for name, node in zip(names, made, strict=True) if (op := _op(nodes[node]))}
    return ModelFacts(inputs, outputs, {}, makers)


def _names(shapes: list[tuple[Any, ...]]) -> list[str]:
    """Name the outputs, which have no names of their own: `boxes` and `scores` where they look like it."""
    if len(shapes) == 2 and all(len(shape) == 3 for shape in shapes):
        four = [shape[2] == 4 for shape in shapes]
        if four[0] != four[1]:
            return ["boxes", "scores"] if four[0] else ["scores", "boxes"]
    return [f"output_{i}" for i in range(len(shapes))]


def _spec(name: str, node: Any) -> TensorSpec:
    value = node.meta["val"]
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise InputError(
            f"The model's tensor {name!r} is {dtype}; {', '.join(DTYPES)} can be handled.",
            hint="Cast it inside the model.",
        )
    shape = tuple(size if isinstance(size, int) else DYNAMIC for size in value.shape)
    return TensorSpec(name=name, shape=shape or (1,), dtype=dtype)


def _op(node: Any) -> str:
    target = str(node.target)
    return next((op for op in ("Softmax", "Sigmoid") if f".{op.lower()}" in target or f"._{op.lower()}" in target), "")
