"""Give a layer other numbers of channels; its weights are to be loaded afterwards."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from edgesdk.compression.changes import Channels
from edgesdk_targets.errors import InputError


def channels_of(name: str, layer: nn.Module) -> Channels | None:
    """Return a layer's channels; None for a kind of layer that cannot be given others."""
    if isinstance(layer, _ConvNd):
        return Channels(layer=name, inputs=layer.in_channels, outputs=layer.out_channels, groups=layer.groups)
    if type(layer) is nn.Linear:
        return Channels(layer=name, inputs=layer.in_features, outputs=layer.out_features)
    if isinstance(layer, _NormBase):
        return Channels(layer=name, inputs=layer.num_features, outputs=layer.num_features)
    if type(layer) is nn.LSTM:
        return Channels(layer=name, inputs=layer.input_size, outputs=layer.hidden_size)
    if type(layer) is nn.LayerNorm and len(layer.normalized_shape) == 1:
        return Channels(layer=name, inputs=layer.normalized_shape[0], outputs=layer.normalized_shape[0])
    if type(layer) is nn.PReLU:
        return Channels(layer=name, inputs=layer.num_parameters, outputs=layer.num_parameters)
    return None


def resize(layer: nn.Module, change: Channels) -> None:
    """Give a layer the channels of a change.

    Raises:
        InputError: it is of another kind, or would grow.
    """
    old = channels_of(change.layer, layer)
    if old is None:
        raise InputError(f"{change.layer} is {type(layer).__name__}, which has no channels to change.", hint=_HINT)
    if change.inputs > old.inputs or change.outputs > old.outputs or change.groups > old.groups:
        raise InputError(
            f"{change.layer} has {old.inputs} → {old.outputs} channels and cannot get {change.inputs} → {change.outputs}.",
            hint=_HINT,
        )
    if isinstance(layer, _ConvNd):
        _convolution(layer, change)
    elif isinstance(layer, nn.LSTM):
        _recurrent(layer, change, old)
    elif isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = change.inputs, change.outputs
        _shape(layer, weight=(change.outputs, change.inputs), bias=(change.outputs,))
    else:
        count = {"inputs": change.inputs, "outputs": change.outputs}
        if change.inputs != change.outputs:
            raise InputError(f"{change.layer} has as many inputs as outputs, not {count}.", hint=_HINT)
        _normalisation(layer, change.outputs)


_HINT = "The card and the code of its factory do not belong together."


def _convolution(layer: Any, change: Channels) -> None:
    if change.inputs % change.groups or change.outputs % change.groups:
        raise InputError(f"{change.layer} cannot have {change.groups} groups.", hint=_HINT)
    layer.in_channels, layer.out_channels, layer.groups = change.inputs, change.outputs, change.groups
    ends = (
        (change.inputs, change.outputs // change.groups)
        if layer.transposed
        else (change.outputs, change.inputs // change.groups)
    )
    _shape(layer, weight=(*ends, *layer.weight.shape[2:]), bias=(change.outputs,))


def _recurrent(layer: nn.LSTM, change: Channels, old: Channels) -> None:
    if change.outputs != old.outputs:
        raise InputError(f"{change.layer} keeps its {old.outputs} hidden numbers.", hint=_HINT)
    layer.input_size = change.inputs
    for name in ("weight_ih_l0", "weight_ih_l0_reverse"):
        if hasattr(layer, name):
            _shape(layer, **{name: (getattr(layer, name).shape[0], change.inputs)})


def _normalisation(layer: Any, count: int) -> None:
    if isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = (count,)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = count
    else:
        layer.num_features = count
    one = (count,)
    _shape(layer, weight=one, bias=one, running_mean=one, running_var=one)


def _shape(layer: nn.Module, **shapes: tuple[int, ...]) -> None:
    """Give tensors other shapes; those that the layer does not have are left."""
    for name, shape in shapes.items():
        tensor: Tensor | None = getattr(layer, name, None)
        if tensor is None or tuple(tensor.shape) == shape:
            continue
        fresh = tensor.detach().new_zeros(shape)
        if isinstance(tensor, nn.Parameter):
            setattr(layer, name, nn.Parameter(fresh, requires_grad=tensor.requires_grad))
        else:
            setattr(layer, name, fresh)
