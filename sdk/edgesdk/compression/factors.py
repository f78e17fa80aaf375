"""Layers that are the product of two thinner ones, without their numbers.

What they compute is in `factorise`; here is what is needed to build them again.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from edgesdk.compression.changes import Factorised
from edgesdk_targets.errors import InputError

_HINT = "The card and the code of its factory do not belong together."


def factorised(layer: nn.Module, change: Factorised) -> nn.Module:
    """Return the layer that takes another one's place; it keeps the mode, and its weights are yet to be set.

    Raises:
        InputError: the layer has no such form, or the rank is too large for it.
    """
    if isinstance(layer, nn.Conv2d):
        made = _of_convolution(layer, change)
    elif type(layer) is nn.Linear and change.form == "channel":
        made = _of_linear(layer, change)
    elif isinstance(layer, nn.LSTM | nn.GRU) and change.form == "input":
        _check_rank(change, layer.input_size)
        made = ProjectedInput(layer, change.rank)
    else:
        raise InputError(f"{change.layer} is {type(layer).__name__}, which has no {change.form} factors.", hint=_HINT)
    return made.train(layer.training)


def _of_linear(layer: nn.Linear, change: Factorised) -> nn.Module:
    _check_rank(change, min(layer.in_features, layer.out_features))
    first = nn.Linear(layer.in_features, change.rank, bias=False)
    return nn.Sequential(first, nn.Linear(change.rank, layer.out_features, bias=layer.bias is not None))


def _of_convolution(layer: Any, change: Factorised) -> nn.Module:
    if layer.groups != 1 or isinstance(layer.padding, str) or layer.padding_mode != "zeros" or change.form == "input":
        raise InputError(f"{change.layer} has no {change.form} factors: groups or padding.", hint=_HINT)
    height, width = layer.kernel_size
    bias = layer.bias is not None
    if change.form == "channel":
        _check_rank(change, min(layer.in_channels * height * width, layer.out_channels))
        first = nn.Conv2d(
            layer.in_channels, change.rank, layer.kernel_size, layer.stride, layer.padding, layer.dilation, bias=False
        )
        return nn.Sequential(first, nn.Conv2d(change.rank, layer.out_channels, 1, bias=bias))
    _check_rank(change, min(layer.in_channels * height, layer.out_channels * width))
    pad, stride, dilation = layer.padding, layer.stride, layer.dilation
    column = nn.Conv2d(
        layer.in_channels, change.rank, (height, 1), (stride[0], 1), (int(pad[0]), 0), (dilation[0], 1), bias=False
    )
    row = nn.Conv2d(
        change.rank, layer.out_channels, (1, width), (1, stride[1]), (0, int(pad[1])), (1, dilation[1]), bias=bias
    )
    return nn.Sequential(column, row)


class ProjectedInput(nn.Module):
    """A recurrent layer whose input matrices are the product of two: the first is a linear layer before it."""

    def __init__(self, layer: nn.LSTM | nn.GRU, rank: int) -> None:
        super().__init__()
        self.project = nn.Linear(layer.input_size, rank, bias=False)
        settings: dict[str, Any] = {
            "num_layers": layer.num_layers,
            "bias": layer.bias,
            "batch_first": layer.batch_first,
            "dropout": layer.dropout,
            "bidirectional": layer.bidirectional,
        }
        if isinstance(layer, nn.LSTM):
            settings["proj_size"] = layer.proj_size
        self.inner = type(layer)(rank, layer.hidden_size, **settings)

    @property
    def hidden_size(self) -> int:
        return self.inner.hidden_size

    def flatten_parameters(self) -> None:
        self.inner.flatten_parameters()

    def forward(self, x: Tensor, state: Any = None) -> Any:
        return self.inner(self.project(x), state)


def _check_rank(change: Factorised, most: int) -> None:
    if change.rank > most:
        raise InputError(f"{change.layer} has rank {most} at most, not {change.rank}.", hint=_HINT)
