"""Fold batch normalisations into the layers before them.

In inference a normalisation multiplies and shifts each channel by constants, which the layer's own weights can do. The
converters do so by themselves; what is won is a model without them in training: ranges that do not move any more for
quantisation-aware training, and weights that are those of the artifact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from edgesdk.compression.changes import Folded
from edgesdk.compression.pass_settings import Fold
from edgesdk.compression.rebuilt import fold_away
from edgesdk.compression.subject import Subject, flat
from edgesdk.compression.workbench import PassDone, Workbench

# How far answers may be off that are rounded in another order, relative to the largest.
_ROUNDING = 1e-4


def fold_norms(subject: Subject, layers: Collection[str] | None = None) -> tuple[Subject, dict[str, Any]]:
    """Fold every normalisation that directly follows a convolution or linear layer.

    That nothing else reads what the layer gives is shown by the answers, which have to stay; where they do not, the pair is
    left as it was.

    Args:
        layers: only those behind these; None for all.

    Returns:
        The model, and how many were folded and which were not.
    """
    found = {layer: norm for layer, norm in pairs(subject).items() if layers is None or layer in layers}
    example = _lively(subject.example)
    module = subject.copy().eval()
    expected = _answers(module, example)
    folded: list[Folded] = []
    kept: list[str] = []
    for layer, norm in found.items():
        change = Folded(layer=layer, norm=norm)
        saved, norm_module = _state(module.get_submodule(layer)), module.get_submodule(norm)
        _fold(module, change)
        if _alike(_answers(module, example), expected):
            folded.append(change)
            continue
        kept.append(norm)
        _restore(module, change, saved, norm_module)
    left = [name for name, part in module.named_modules() if isinstance(part, _BatchNorm)]
    return subject.changed(module, folded), {"folded": len(folded), "left": left, "used_elsewhere": kept}


def pairs(subject: Subject) -> Mapping[str, str]:
    """Return the layers whose output a normalisation takes, with that normalisation, both used once."""
    names = {part: name for name, part in subject.module.named_modules()}
    made: dict[int, nn.Module] = {}
    found: dict[nn.Module, nn.Module] = {}
    calls: Counter[nn.Module] = Counter()
    kept: list[Tensor] = []  # so that no number of a tensor is given out twice

    def see(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[part] += 1
        if isinstance(part, _ConvNd | nn.Linear):
            made[id(output)] = part
            kept.append(output)
        elif (layer := made.get(id(inputs[0]))) is not None:
            found[layer] = part

    kinds = _ConvNd | nn.Linear | _BatchNorm
    hooks = [part.register_forward_hook(see) for part in subject.module.modules() if isinstance(part, kinds)]
    try:
        subject.run()
    finally:
        for hook in hooks:
            hook.remove()
    once = {layer: norm for layer, norm in found.items() if calls[layer] == 1 == calls[norm]}
    owners = Counter(id(part.weight) for part in names if isinstance(part, _ConvNd | nn.Linear))
    return {
        names[layer]: names[norm]
        for layer, norm in once.items()
        if owners[id(layer.weight)] == 1 and not getattr(layer, "transposed", False) and norm.running_mean is not None
    }


def _fold(module: nn.Module, change: Folded) -> None:
    layer: Any = module.get_submodule(change.layer)
    norm: Any = module.get_submodule(change.norm)
    fuse = fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fuse_conv_bn_weights
    weight, bias = fuse(layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    fold_away(module, change)
    # Of a layer without a bias torch's fusion makes one that does not learn, and would stay as it is in the trainings after this.
    bias.requires_grad_(layer.bias.requires_grad)
    layer.weight, layer.bias = weight, bias


def _restore(module: nn.Module, change: Folded, saved: dict[str, Any], norm: nn.Module) -> None:
    layer: Any = module.get_submodule(change.layer)
    layer.weight, layer.bias = saved["weight"], saved["bias"]
    module.set_submodule(change.norm, norm)


def _state(layer: Any) -> dict[str, Any]:
    return {"weight": layer.weight, "bias": layer.bias}


def _lively(example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return inputs in which every channel says something; zeros would hide a difference."""
    drawn = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(tensor.shape, generator=drawn).to(tensor.dtype) if tensor.is_floating_point() else tensor
        for tensor in example
    )


@torch.no_grad()
def _answers(module: nn.Module, example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.clone() for tensor in flat(module(*example)))


def _alike(answers: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> bool:
    return all(
        bool(torch.isfinite(one).all()) and (one - other).abs().max() <= _ROUNDING * max(1.0, float(other.abs().max()))
        for one, other in zip(answers, expected, strict=True)
        if other.is_floating_point() and other.numel()
    )


def fold_pass(_settings: Fold, subject: Subject, _bench: Workbench) -> PassDone:
    """Fold all normalisations that can be."""
    return PassDone(*fold_norms(subject))
