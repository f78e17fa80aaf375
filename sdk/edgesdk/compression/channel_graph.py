"""torch-pruning's dependency graph of a model, and where the model hides a layer from it."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from edgesdk.compression.subject import Subject, flat
from edgesdk_converters.framework_edge import needs, reason
from edgesdk_targets.errors import InputError

log = logging.getLogger(__name__)


def dependency_graph(module: nn.Module, subject: Subject) -> tuple[Any, dict[nn.Module, str]]:
    """Trace a module by the gradients' way back through it.

    Raises:
        InputError: that way does not reach a layer, or the model does not run.
    """
    with needs("torch-pruning", extra="compress"):
        from torch_pruning import DependencyGraph
    module.eval()
    names = {part: name for name, part in module.named_modules()}
    wanted = {part: part.requires_grad for part in module.parameters()}
    for parameter in wanted:
        parameter.requires_grad_(True)
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            graph = DependencyGraph().build_dependency(module, example_inputs=list(subject.example), verbose=False)
    except Exception as error:  # the user's code, and the tracer, may raise anything
        where = _without_gradient(module, subject)
        raise InputError(
            f"The pruner cannot trace the model{f', which it loses at the layer {where}' if where else ''}: "
            f"{reason(error)}",
            hint="Structured pruning needs a forward that gradients pass through. Leave `prune` out of the recipe, or "
            "rewrite that layer without `detach`, `.data`, numpy or operations on whole numbers.",
        ) from error
    finally:
        for parameter, had in wanted.items():
            parameter.requires_grad_(had)
    if lost := [names[part] for part in _layers_run(module, subject) if part not in graph.module2node]:
        cut = _without_gradient(module, subject)
        where = f": the layer {cut} cuts it off" if cut else ""
        raise InputError(
            f"The pruner cannot trace the model, as no gradient comes back to the layer {lost[0]}{where}.",
            hint="Leave `prune` out of the recipe, or rewrite what comes after it without `detach`, `.data`, numpy or argmax.",
        )
    return graph, names


def _layers_run(module: nn.Module, subject: Subject) -> list[nn.Module]:
    """Return the layers with weights that the model asks, in that order."""
    seen: list[nn.Module] = []
    hooks = [
        part.register_forward_hook(lambda part, _inputs, _output: seen.append(part))
        for part in module.modules()
        if isinstance(part, _ConvNd | nn.Linear)
    ]
    try:
        with torch.no_grad():
            module(*subject.example)
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(seen))


def _without_gradient(module: nn.Module, subject: Subject) -> str | None:
    """Return the first layer through which no gradient comes back, or which fails; None where it cannot be told."""
    begun: list[str] = []
    cut: list[str] = []

    def before(name: str) -> Any:
        return lambda _part, _inputs: begun.append(name)

    def after(name: str) -> Any:
        def see(_part: nn.Module, _inputs: Any, output: Any) -> None:
            begun.remove(name)
            tensors = flat(output) if isinstance(output, torch.Tensor | tuple | list | dict) else ()
            if tensors and not any(tensor.requires_grad for tensor in tensors):
                cut.append(name)

        return see

    hooks = []
    for name, part in module.named_modules():
        if name:
            hooks += [part.register_forward_pre_hook(before(name)), part.register_forward_hook(after(name))]
    try:
        with torch.enable_grad():
            module(*subject.example)
    except Exception as error:  # noqa: BLE001  (told by the caller in its own words)
        log.debug("%s", error)
        return begun[-1] if begun else None
    finally:
        for hook in hooks:
            hook.remove()
    return cut[0] if cut else None
