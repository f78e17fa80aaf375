"""Torch → LiteRT in a process of its own: the child loads the model again, so that a crash of the converter ends nothing.

Call it through `run_step`; every argument crosses. A live module cannot: it is converted in the caller's process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgesdk_converters.framework_edge import needs
from edgesdk_converters.sniff import Kind
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec

if TYPE_CHECKING:
    import torch

    from edgesdk_converters.steps.live_module import Source


def litert_from_source(
    path: Path | None,
    kind: Kind,
    *,
    factory: str | None,
    factory_args: Mapping[str, Any],
    folder: Path,
    inputs: Sequence[Mapping[str, Any]],
    precision: Literal["fp32", "fp16"],
    fold: Fold | None = None,
) -> bytes:
    """Load a torch model and convert it.

    Args:
        path, kind, factory, factory_args, folder: as `load_torch` takes them.
        inputs: `TensorSpec.model_dump()` of each input, in order.
        precision, fold: as `litert_from_torch` takes them.

    Raises:
        InputError, StepFailed, MissingExtra: as `load_torch` and `litert_from_torch`.
    """
    with needs("torch", extra="torch"):
        import torch

    from edgesdk_converters.steps.litert_from_torch import litert_from_torch
    from edgesdk_converters.torch_source import load_torch

    specs = tuple(TensorSpec.model_validate(spec) for spec in inputs)
    module = load_torch(path, kind, factory=factory, factory_args=factory_args, folder=folder, inputs=specs)
    example = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in specs)
    return litert_from_torch(_flat(module, example), example, precision=precision, fold=fold)


def _flat(source: Source, example: tuple[torch.Tensor, ...]) -> Source:
    """Return a module that gives a tuple where the model gives a mapping: the converter keeps no names."""
    import torch

    if not isinstance(source, torch.nn.Module):
        return source
    try:
        with torch.no_grad():
            named = isinstance(source(*example), Mapping)
    except Exception as error:  # the user's model may raise anything
        raise InputError(
            f"The model cannot run on its declared input: {type(error).__name__}: {error}",
            hint="Correct `input` in the model card.",
        ) from error
    return _Values(source) if named else source


def _values_class() -> Any:
    import torch

    class Values(torch.nn.Module):
        """The values of a module's mapping, in their order."""

        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(self.inner(*inputs).values())

    return Values


def _Values(inner: torch.nn.Module) -> torch.nn.Module:  # noqa: N802
    made: torch.nn.Module = _values_class()(inner)
    return made.eval()
