"""Finding and exchanging a model's layers by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from torch import Tensor, nn

from edgesdk_targets.errors import InputError


def layer_named(model: nn.Module, name: str) -> nn.Module:
    """Return a layer.

    Raises:
        InputError: there is none of this name.
    """
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"The model has no layer {name!r}.",
            hint="The code of its factory is not the one it was compressed with, or the name is wrong.",
        ) from error


def exchange(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a layer into the place of another, wherever the model holds it."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)


def layers_matching(model: nn.Module, patterns: Sequence[str], kinds: tuple[type[nn.Module], ...]) -> list[str]:
    """Return the names of the layers of certain kinds that one of the patterns (`layer1.*`) fits, in the model's order.

    Subclasses are left out: what they do with their weights is not known.

    Raises:
        InputError: a pattern fits none.
    """
    names = [name for name, layer in model.named_modules() if type(layer) in kinds]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise InputError(
                f"No layer fits the pattern {pattern!r}.",
                hint=f"Layers that this pass knows: {', '.join(names[:8]) or 'none'}{' …' if len(names) > 8 else ''}.",
            )
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def sharing_layers(model: nn.Module) -> frozenset[str]:
    """Return the names of the layers that use a parameter which another layer uses, too."""
    users: dict[int, list[str]] = {}
    for name, layer in model.named_modules():
        for _, value in layer.named_parameters(recurse=False):
            users.setdefault(id(value), []).append(name)
    return frozenset(name for names in users.values() if len(names) > 1 for name in names)


def sharing_groups(model: nn.Module, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return layers in groups of those that share a weight, each layer once; one that shares none is alone. In their own order."""
    groups: dict[str, tuple[str, ...]] = {}
    user: dict[int, str] = {}
    for name in names:
        weights = [id(weight) for weight in weights_of(model.get_submodule(name))]
        met = dict.fromkeys(groups[user[weight]] for weight in weights if weight in user)
        group = (*(one for others in met for one in others), name)
        groups.update(dict.fromkeys(group, group))
        user.update(dict.fromkeys(weights, name))
    return list(dict.fromkeys(groups[name] for name in names))


def weights_of(layer: nn.Module) -> list[Tensor]:
    """Return the matrices of a layer, without its biases."""
    return [value for _, value in layer.named_parameters(recurse=False) if value.dim() > 1]
