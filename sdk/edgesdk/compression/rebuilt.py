"""The factory of every compressed model: build what its author's factory builds, then change it as was recorded.

A card names it: `factory: edgesdk.compression.rebuilt:model`, with the author's own factory as `base`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgesdk.compression.changes import Change, Channels, Clustered, Factorised, Folded, Sparse, Tied, read_changes
from edgesdk.compression.factors import factorised
from edgesdk.compression.layers import exchange, layer_named
from edgesdk.compression.resize import resize
from edgesdk_converters.author_code import build_beside
from edgesdk_targets.errors import InputError

FACTORY = "edgesdk.compression.rebuilt:model"


def model(*, base: str, changes: Sequence[Mapping[str, Any]], base_args: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a compressed model, whose weights are loaded afterwards.

    Args:
        base: the author's factory, `package.module:function`, found where a card's own factory would be.
        changes: what was done to what it builds, in order.

    Raises:
        InputError: the factory fails, a change is wrong, or it does not fit the model.
    """
    listed = read_changes(changes)
    if base == FACTORY:
        raise InputError("A compressed model cannot be its own base.", hint="Name the factory of the original model.")
    made = build_beside(base, dict(base_args or {}))
    replay(made, listed)
    return made


def replay(made: nn.Module, changes: Iterable[Change]) -> None:
    """Change a model's structure in place; the weights of changed layers are to be loaded afterwards.

    Raises:
        InputError: a change does not fit the model.
    """
    for change in changes:
        if isinstance(change, Channels):
            resize(layer_named(made, change.layer), change)
        elif isinstance(change, Factorised):
            layer = layer_named(made, change.layer)
            exchange(made, layer, factorised(layer, change))
        elif isinstance(change, Tied):
            tie(layer_named(made, change.layer), layer_named(made, change.to), change)
        elif isinstance(change, Folded):
            fold_away(made, change)
        elif isinstance(change, Sparse | Clustered):
            layer_named(made, change.layer)  # nothing of the structure, but it has to be there


def tie(layer: nn.Module, to: nn.Module, change: Tied) -> None:
    """Let a layer use another one's weight; each keeps its own bias.

    Raises:
        InputError: their weights have different shapes.
    """
    own, other = getattr(layer, "weight", None), getattr(to, "weight", None)
    if own is None or other is None or own.shape != other.shape or type(layer) is not type(to):
        raise InputError(f"{change.layer} cannot use the weights of {change.to}: they are of different shapes.")
    layer.weight = other


def fold_away(made: nn.Module, change: Folded) -> None:
    """Give a layer a bias and remove the normalisation behind it.

    Raises:
        InputError: they are no such layers.
    """
    layer: Any = layer_named(made, change.layer)
    norm = layer_named(made, change.norm)
    if not isinstance(layer, (_ConvNd, nn.Linear)) or not isinstance(norm, _BatchNorm):
        raise InputError(f"{change.norm} cannot be folded into {change.layer}: no such layers.")
    if layer.bias is None:
        outputs = norm.num_features
        layer.bias = nn.Parameter(torch.zeros(outputs, dtype=layer.weight.dtype), layer.weight.requires_grad)
    exchange(made, norm, nn.Identity())
