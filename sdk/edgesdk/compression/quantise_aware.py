"""Quantisation-aware training: the model learns with its numbers rounded to 8 bits, as INT8 artifacts have them.

Weights: symmetric, per output channel, -127 to 127 (Jacob et al., 2018; Krishnamoorthi, 2018), with gradients passed straight
through. As a normalisation multiplies a whole channel by one number, rounding before it is folded is rounding after it. Inputs
of layers: 0 to 255 over a range that follows the smallest and largest value as moving averages, and stands still late in the
training, as do the figures of normalisations.

The result is a plain float model whose weights lie on those 8-bit steps, so that every family's own INT8 finds the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from edgesdk.compression.holding import holding_hooks
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.pass_settings import Qat
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk.train.moment import Hook

QUANTISED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
_STEPS = 127
_LEVELS = 255
_RANGE = "quantised_input"


class RoundedWeight(nn.Module):
    """Rounds a weight to 8 bits per output channel.

    Args:
        axis: of the output channels.
    """

    def __init__(self, axis: int) -> None:
        super().__init__()
        self._axis = axis

    def forward(self, weight: Tensor) -> Tensor:
        other = [dim for dim in range(weight.dim()) if dim != self._axis]
        scale = (weight.detach().abs().amax(other) / _STEPS).clamp_min(torch.finfo(weight.dtype).tiny)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, self._axis, -_STEPS, _STEPS)


class RoundedInput(nn.Module):
    """Rounds what a layer is given to 8 bits over the range that was seen.

    Args:
        momentum: how much of a range is that of the last batch.
    """

    low: Tensor
    high: Tensor
    seen: Tensor

    def __init__(self, momentum: float = 0.01) -> None:
        super().__init__()
        self._momentum = momentum
        self.frozen = False
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(0.0))
        self.register_buffer("seen", torch.tensor(False))

    def forward(self, given: Tensor) -> Tensor:
        if self.training and not self.frozen:
            self._follow(given.detach())
        if not self.seen:
            return given
        # Zero, with which convolutions are padded, has to be one of the steps.
        low, high = self.low.clamp_max(0.0), self.high.clamp_min(0.0)
        scale = ((high - low) / _LEVELS).clamp_min(torch.finfo(given.dtype).eps)
        zero = torch.round(-low / scale).clamp(0, _LEVELS)
        return torch.fake_quantize_per_tensor_affine(given, scale, zero.to(torch.int32), 0, _LEVELS)

    def _follow(self, given: Tensor) -> None:
        low, high = torch.aminmax(given)
        if not self.seen:
            self.low.copy_(low)
            self.high.copy_(high)
            self.seen.fill_(True)
            return
        self.low.lerp_(low, self._momentum)
        self.high.lerp_(high, self._momentum)


class Freezing(Hook):
    """Lets ranges and the figures of normalisations stand still from an epoch on.

    Args:
        after: the epoch, from 0.
    """

    def __init__(self, after: int) -> None:
        self._after = after

    def before_epoch(self, model: nn.Module, epoch: int) -> None:
        frozen = epoch >= self._after
        for part in model.modules():
            if isinstance(part, RoundedInput):
                part.frozen = frozen
            elif isinstance(part, _BatchNorm) and frozen:
                part.eval()


def prepare(module: nn.Module, layers: Sequence[str]) -> None:
    """Let layers of a module compute with rounded numbers, in place.

    Args:
        layers: names, of the kinds in `QUANTISED`.
    """
    for name in layers:
        layer: Any = module.get_submodule(name)
        axis = 1 if getattr(layer, "transposed", False) else 0
        parametrize.register_parametrization(layer, "weight", RoundedWeight(axis))
        layer.add_module(_RANGE, RoundedInput())
        layer.register_forward_pre_hook(_round_input)


def finish(trained: nn.Module, subject: Subject, layers: Sequence[str]) -> tuple[Subject, dict[str, list[float]]]:
    """Return the model with the rounded weights of a prepared and trained copy of its module, plain again.

    Returns:
        The model, and the range of what each layer was given, (low, high).
    """
    ranges = {}
    learnt = dict(trained.state_dict())
    for name in layers:
        layer: Any = trained.get_submodule(name)
        seen = getattr(layer, _RANGE)
        ranges[name] = [round(float(seen.low), 6), round(float(seen.high), 6)]
        learnt[f"{name}.weight"] = layer.weight.detach()
    plain = subject.copy()
    plain.load_state_dict({key: learnt[key] for key in plain.state_dict()})
    return subject.retrained(plain), ranges


def rounded(subject: Subject, layers: Sequence[str]) -> Subject:
    """Return the model with the weights of layers on 8-bit steps, without any training: what training has to beat."""
    module = subject.copy()
    with torch.no_grad():
        for name in layers:
            layer: Any = module.get_submodule(name)
            layer.weight.copy_(RoundedWeight(1 if getattr(layer, "transposed", False) else 0)(layer.weight))
    return subject.retrained(module)


def _round_input(layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return (getattr(layer, _RANGE)(given[0]), *given[1:])


def qat_pass(settings: Qat, subject: Subject, bench: Workbench) -> PassDone:
    """Train the model with its numbers rounded."""
    assert bench.plan is not None  # noqa: S101  (a pass that learns has one)
    skipped = layers_matching(subject.module, settings.skip, QUANTISED) if settings.skip else []
    layers = [name for name in layers_matching(subject.module, settings.layers, QUANTISED) if name not in skipped]
    before = bench.score(rounded(subject, layers))
    module = subject.copy()
    # The zeros of a pruned weight stay zeros when it is rounded; what is held is held in the weight before rounding.
    hooks = holding_hooks(subject, module)
    prepare(module, layers)
    hooks = (*hooks, Freezing(after=round(settings.freeze * bench.plan.epochs)))
    training = bench.train(module, bench.plan, bench.folder, hooks=hooks)
    made, ranges = finish(module, subject, layers)
    record = {"layers": len(layers), "skipped": skipped, "score_if_only_rounded": before, "input_ranges": ranges}
    return PassDone(made, record, training)
