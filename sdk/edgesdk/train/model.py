"""The model that is trained: built by its card's factory, with the weights it has or as it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_converters.author_code import build
from edgesdk_converters.framework_edge import needs
from edgesdk_converters.sniff import Kind, sniff
from edgesdk_converters.torch_source import load_torch
from edgesdk_targets.card import CardFile
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from torch import nn

_TRAINABLE = {Kind.STATE_DICT, Kind.SAFETENSORS}


def open_model(card: CardFile, *, untrained: bool = False, seed: int = 0) -> nn.Module:
    """Return a card's model on the CPU, in evaluation mode.

    Args:
        untrained: with the weights that its factory gives it, drawn by `seed`, and not those of the card's `source`.

    Raises:
        InputError: the card names no factory, it fails, the weights do not fit, or the source is a graph that cannot be trained.
        MissingExtra: torch is not installed.
    """
    with needs("torch", extra="compress"):
        import torch
    given, path = card.card, card.source
    if given.factory is None:
        raise InputError(
            f"The model {given.name} cannot be trained: its card names no factory that builds it.",
            hint="A .pt2 or .onnx is a finished graph. Name `factory: package.module:function` and the weights as `source`.",
        )
    if untrained or path is None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build(given.factory, given.factory_args, card.code).eval()
    kind = sniff(path)
    if kind not in _TRAINABLE:
        raise InputError(
            f"{path} ({kind.value}) cannot be trained.", hint="Name a file of weights as the card's `source`."
        )
    model = load_torch(path, kind, factory=given.factory, factory_args=given.factory_args, folder=card.code)
    assert isinstance(model, torch.nn.Module)  # noqa: S101  (what a factory builds)
    return model
