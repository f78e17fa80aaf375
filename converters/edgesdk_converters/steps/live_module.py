"""A live torch model, made ready to be exported.

Rule: a step never changes the caller's module (its training mode is put back), and a model that cannot run on its own
declared input is the caller's mistake (`InputError`), told before any exporter is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesdk_targets.errors import EdgeError, InputError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    Source: TypeAlias = torch.nn.Module | ExportedProgram
    Example: TypeAlias = Sequence[torch.Tensor | npt.NDArray[Any]]


def tensors_of(example: Example) -> tuple[torch.Tensor, ...]:
    """Return the example inputs as CPU tensors that share nothing with the caller's arrays."""
    import torch

    return tuple(
        torch.from_numpy(np.array(item)) if isinstance(item, np.ndarray) else item.detach().cpu().clone()
        for item in example
    )


@contextmanager
def in_eval_mode(source: Source) -> Iterator[torch.nn.Module]:
    """Give the module to export, every part of it in eval mode; afterwards each is as it was.

    An ExportedProgram (`.pt2`) has its mode burnt in and refuses `.eval()`: its module is given as it is.
    """
    from torch.export import ExportedProgram

    if isinstance(source, ExportedProgram):
        yield source.module()
        return
    training = [part for part in source.modules() if part.training]
    source.eval()
    try:
        yield source
    finally:
        for part in training:
            part.training = True


def outputs_of(module: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Run the module once and return its outputs as a flat tuple.

    Raises:
        InputError: the module refuses its example, or gives something that is not tensors.
    """
    import torch

    shapes = ", ".join(f"{tuple(item.shape)} {str(item.dtype).removeprefix('torch.')}" for item in example)
    try:
        with torch.no_grad():
            given = module(*example)
    except EdgeError:
        raise
    except Exception as error:  # the caller's own code runs here, and may raise anything
        first = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"The model cannot run on its declared input, {shapes}: {type(error).__name__}: {first}",
            hint="Correct `input` in the model card (shape, layout, dtype, number of inputs), or the factory.",
        ) from error
    outputs = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not outputs or not all(isinstance(item, torch.Tensor) for item in outputs):
        kinds = ", ".join(type(item).__name__ for item in outputs) or "nothing"
        raise InputError(
            f"The model's forward must return a tensor or a tuple of tensors; it returned {kinds}.",
            hint="Wrap it in the factory: return only the tensors that the card's task asks for.",
        )
    return outputs
