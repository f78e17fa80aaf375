"""Unstructured pruning: the smallest weights become 0, wherever they are.

What it brings is measured on each runtime that is installed. Of the others it is known that they compute with zeros as with any
number: what is won there is the size of the bundle, in which deflate writes runs of zeros short, and not time or memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune

from edgesdk.compression.changes import Sparse
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.pass_settings import Sparsify
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench

PRUNED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.LSTM, nn.GRU)
# Where nothing can be measured.
BRINGS = {
    "onnxruntime": "no time: its kernels compute with zeros as with any number",
    "openvino": "no time in float: sparse weights are decompressed only for INT8 on processors with AMX",
    "litert": "no time: XNNPACK's sparse kernels take models converted for them, which the converter does not make",
    "tensorrt": "no time: its sparse kernels want two zeros in every four weights in a row",
    "bundle": "fewer bytes in the bundle, which is deflated; unpacked and in memory as many as before",
}


def prune_weights(
    subject: Subject, layers: Sequence[str], *, amount: float, each_layer: bool = False
) -> tuple[Subject, dict[str, Any]]:
    """Set the weights of smallest magnitude to 0; biases are left.

    Args:
        layers: names, of the kinds in `PRUNED`.
        amount: the part of their weights that becomes 0, in (0, 1).
        each_layer: take this part of each layer; otherwise of all together, so that layers with large weights keep more.
    """
    module = subject.copy()
    places = [(module.get_submodule(name), key) for name in layers for key in _matrices(module.get_submodule(name))]
    if each_layer:
        for layer, key in places:
            prune.l1_unstructured(layer, key, amount)
    else:
        prune.global_unstructured(places, prune.L1Unstructured, amount=amount)
    for layer, key in places:
        _make_plain(layer, key)
    made = subject.changed(module, [Sparse(layer=name) for name in layers])
    zeros = {name: round(_zeros(made.module.get_submodule(name)), 4) for name in layers}
    return made, {"amount": amount, "zeros": zeros}


def _matrices(layer: nn.Module) -> list[str]:
    return [key for key, value in layer.named_parameters(recurse=False) if value.dim() > 1]


def _make_plain(layer: nn.Module, key: str) -> None:
    """Put a masked weight back as a plain parameter, which a recurrent layer also finds in its own list."""
    value = getattr(layer, key).detach()
    prune.remove(layer, key)
    with torch.no_grad():
        getattr(layer, key).copy_(value)


def _zeros(layer: nn.Module) -> float:
    matrices = [getattr(layer, key) for key in _matrices(layer)]
    nonzeros = sum(int(torch.count_nonzero(value)) for value in matrices)
    return 1.0 - nonzeros / sum(int(value.numel()) for value in matrices)


def sparsify_pass(settings: Sparsify, subject: Subject, bench: Workbench) -> PassDone:
    """Set the smallest weights of the layers that the settings name to 0, and measure what that brings."""
    layers = layers_matching(subject.module, settings.layers, PRUNED)
    made, record = prune_weights(subject, layers, amount=settings.amount, each_layer=settings.each_layer)
    measured = bench.brought(subject, made)
    absent = {runtime: f"not measured here; as a rule {known}" for runtime, known in BRINGS.items()}
    return PassDone(made, {**record, "brings": {**absent, **measured}})
