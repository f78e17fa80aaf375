"""Load a trained torch model from what its author has: weights and a factory, a `.pt2`, or TorchScript.

Nothing is unpickled but tensors. A factory is the author's own code; see `author_code`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_converters.author_code import build
from edgesdk_converters.exported_safety import check_exported, tensors_only
from edgesdk_converters.framework_edge import framework_edge, needs, reason
from edgesdk_converters.sniff import Kind
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

_PREFIX = "module."


def load_torch(
    path: Path | None,
    kind: Kind,
    *,
    factory: str | None,
    factory_args: Mapping[str, Any],
    folder: Path,
    inputs: Sequence[TensorSpec] = (),
) -> torch.nn.Module | ExportedProgram:
    """Return the model, on the CPU and in evaluation mode.

    Args:
        path: the weights; None for a factory that brings its own.
        folder: put on the import path while the factory is imported and called.
        inputs: what the model takes; TorchScript is traced through with them.

    Raises:
        InputError: no factory, a factory that fails, or weights that do not fit it.
        MissingExtra: torch or safetensors is not installed.
    """
    with needs("torch", extra="torch"):
        import torch
    if kind is Kind.EXPORTED and path is not None:
        return _load_exported(path)
    if kind is Kind.TORCHSCRIPT and path is not None:
        return _load_torchscript(path, inputs)
    if factory is None:
        raise InputError(
            f"{path} holds weights only; the code that builds the model is needed too.",
            hint="Name it: --factory package.module:function, or `factory:` in the model card.",
        )
    # What a factory draws at random is the same each time: by its numbers a model is known again, in another process too.
    # The caller's own generators are put back, also those of accelerators, which `manual_seed` sets as well.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build(factory, factory_args, folder)
    if path is not None:
        _load_weights(module, _read_weights(path, kind), path, factory)
    return module.eval()


def _load_exported(path: Path) -> ExportedProgram:
    import torch

    check_exported(path)
    hint = "Export it again with this version of torch: torch.export.save(…)."
    with framework_edge("torch_export_load", hint=hint), tensors_only():
        return torch.export.load(str(path))


def _load_torchscript(path: Path, inputs: Sequence[TensorSpec]) -> ExportedProgram:
    """Load the legacy form and turn it into what the exporters take."""
    import torch
    from torch._export.converter import TS2EPConverter

    with framework_edge(
        "torchscript_load", hint="Save the model with torch.export.save, or as weights with a factory."
    ):
        script = torch.jit.load(str(path), map_location="cpu")
        example = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in inputs)
        return TS2EPConverter(script.eval(), example).convert()


def _read_weights(path: Path, kind: Kind) -> dict[str, torch.Tensor]:
    import torch

    if kind is Kind.SAFETENSORS:
        with needs("safetensors", extra="torch"):
            from safetensors.torch import load_file
        with framework_edge("safetensors", hint="Copy the file again."):
            weights = load_file(path)
        return dict(weights)
    data = load_pickled_weights(path)
    if not all(isinstance(value, torch.Tensor) for value in data.values()):
        raise _no_state_dict(path)
    # DataParallel puts this before every key.
    if data and all(key.startswith(_PREFIX) for key in data):
        data = {key[len(_PREFIX) :]: value for key, value in data.items()}
    return data


def load_pickled_weights(path: Path) -> dict[str, Any]:
    """Return what `torch.save` wrote, unwrapped; nothing but tensors is unpickled.

    Raises:
        InputError: it cannot be loaded so, or holds no state_dict.
    """
    import torch

    try:
        data: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or refused file
        raise InputError(
            f"{path} cannot be loaded as weights: {reason(error)}",
            hint="Save it where it was trained with torch.save(model.state_dict(), 'weights.pt').",
        ) from error
    # Training scripts save the weights beside an epoch, an optimizer and so on.
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
            break
    if not isinstance(data, dict):
        raise _no_state_dict(path)
    return data


def _no_state_dict(path: Path) -> InputError:
    return InputError(f"{path} holds no state_dict.", hint="Save it with torch.save(model.state_dict(), …).")


def _load_weights(module: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path, factory: str) -> None:
    own = module.state_dict()
    # A counter that old versions of torch did not save, and that evaluation does not read.
    missing = sorted(key for key in set(own) - set(weights) if not key.endswith("num_batches_tracked"))
    unknown = sorted(set(weights) - set(own))
    differing = sorted(key for key in set(own) & set(weights) if own[key].shape != weights[key].shape)
    problems = [
        f"{len(keys)} {what}, the first {keys[0]!r}"
        for keys, what in ((missing, "missing"), (unknown, "unknown"), (differing, "of another shape"))
        if keys
    ]
    if problems:
        raise InputError(
            f"The weights in {path} do not fit what {factory!r} builds: {'; '.join(problems)}.",
            hint="Check factory_args (number of classes, width), or the file.",
        )
    module.load_state_dict(weights, strict=False)
