"""Layer tying: layers of one shape use one weight, which is stored once where the converter keeps one copy.

A normalisation behind a tied layer is folded into it first. The converters would do so afterwards, each layer with a normalisation
of its own, and make different weights of the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgesdk.compression.changes import Tied
from edgesdk.compression.fold_norms import fold_norms
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.pass_settings import Tie
from edgesdk.compression.rebuilt import tie
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk_targets.errors import InputError


def tie_layers(subject: Subject, groups: Sequence[Sequence[str]]) -> tuple[Subject, dict[str, Any]]:
    """Let the layers of each group use one weight, to begin with the mean of theirs; each keeps its own bias.

    Returns:
        The model, the groups, and how many normalisations behind them were folded.

    Raises:
        InputError: layers of a group have different shapes.
    """
    plain, about = fold_norms(subject, {name for names in groups for name in names})
    module = plain.copy()
    changes: list[Tied] = []
    for names in groups:
        first, *others = (module.get_submodule(name) for name in names)
        weights = [_weight(layer, name) for layer, name in zip((first, *others), names, strict=True)]
        for name, layer in zip(names[1:], others, strict=True):
            if _weight(layer, name).shape != weights[0].shape:
                raise InputError(
                    f"{names[0]} {tuple(weights[0].shape)} and {name} {tuple(_weight(layer, name).shape)} cannot use one "
                    "weight: they are of different shapes.",
                    hint="Name layers of the same shape, such as those of one stage's blocks.",
                )
        with torch.no_grad():
            weights[0].copy_(torch.stack(weights).mean(0))
        for name, layer in zip(names[1:], others, strict=True):
            change = Tied(layer=name, to=names[0])
            tie(layer, first, change)
            changes.append(change)
    made = plain.changed(module, changes)
    made.check("tying", [change.layer for change in changes])
    return made, {"groups": [list(names) for names in groups], "folded": about["folded"]}


def _weight(layer: nn.Module, name: str) -> Tensor:
    if not isinstance(layer, _ConvNd | nn.Linear):
        raise InputError(
            f"{name} is {type(layer).__name__}, which this pass cannot tie.", hint="Name layers of weights."
        )
    return layer.weight


def groups_of(settings: Tie, module: nn.Module) -> list[list[str]]:
    """Return the layers of each group that the settings name.

    Raises:
        InputError: a pattern fits none, or one layer only.
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
    patterns = [(group,) if isinstance(group, str) else group for group in settings.groups]
    groups = [layers_matching(module, group, kinds) for group in patterns]
    if alone := [group for group, names in zip(patterns, groups, strict=True) if len(names) < 2]:
        raise InputError(f"{', '.join(alone[0])} fits one layer only.", hint="Name at least two that use one weight.")
    return groups


def tie_pass(settings: Tie, subject: Subject, _bench: Workbench) -> PassDone:
    """Tie the groups of layers that the settings name."""
    return PassDone(*tie_layers(subject, groups_of(settings, subject.module)))
