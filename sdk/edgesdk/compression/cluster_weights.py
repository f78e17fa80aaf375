"""Weight clustering: a weight holds few distinct numbers, found by k-means, which deflate writes short."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesdk.compression.changes import Clustered, Sparse
from edgesdk.compression.layers import sharing_groups, weights_of
from edgesdk.compression.subject import Subject

# Of larger weights k-means sees so many numbers, drawn by a fixed seed.
_SAMPLED = 50_000
CLUSTERED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.LSTM, nn.GRU)


def cluster_weights(subject: Subject, layers: Sequence[str], count: int) -> tuple[Subject, dict[str, Any]]:
    """Let each weight of the layers hold at most `count` distinct numbers, found by k-means.

    The centres begin evenly over the weight's range, which keeps its few large numbers (Han et al., Deep Compression, 2016).
    Zeros of a sparse layer stay zeros.

    Returns:
        The model, and the bytes that codebooks with packed indices would take: no runtime stores them so; what a bundle
        saves is what deflate makes of the repeated numbers.
    """
    groups = sharing_groups(subject.module, layers)
    made, record = with_clusters(subject, [clustered(subject, group, count) for group in groups])
    return made, {**record, "count": count}


@dataclass(frozen=True, slots=True)
class Clusters:
    """The weights of a layer, or of several that share them, each of few distinct numbers.

    Attributes:
        layers: their names.
        count: of distinct numbers, at most.
        tensors: the weights, each once, in the layers' order.
        error: the part of the weights' sum of squares that is lost.
    """

    layers: tuple[str, ...]
    count: int
    tensors: tuple[Tensor, ...]
    error: float

    @property
    def codebook_bytes(self) -> int:
        """The bytes of codebooks with packed indices."""
        bits = max(1, math.ceil(math.log2(self.count)))
        return sum(
            math.ceil(tensor.numel() * bits / 8) + len(torch.unique(tensor)) * tensor.element_size()
            for tensor in self.tensors
        )


def clustered(subject: Subject, layers: tuple[str, ...], count: int) -> Clusters:
    """Find the clusters of a layer's weights, or of those that several layers share; the layers stay as they are."""
    sparse = any(isinstance(change, Sparse) and change.layer in layers for change in subject.changes)
    weights = [tensor.detach() for tensor in _weights(subject.module, layers)]
    found = tuple(_clustered(tensor, count, sparse=sparse) for tensor in weights)
    squares = sum(float(tensor.double().square().sum()) for tensor in weights)
    lost = sum(float((new - old).double().square().sum()) for new, old in zip(found, weights, strict=True))
    return Clusters(layers, count, found, lost / max(squares, 1e-300))


@torch.no_grad()
def with_clusters(subject: Subject, groups: Iterable[Clusters]) -> tuple[Subject, dict[str, Any]]:
    """Set the weights of layers to their clusters."""
    module = subject.copy()
    changes: list[Clustered] = []
    codebook_bytes = 0
    for clusters in groups:
        for tensor, new in zip(_weights(module, clusters.layers), clusters.tensors, strict=True):
            tensor.copy_(new)
        changes += [Clustered(layer=name, count=clusters.count) for name in clusters.layers]
        codebook_bytes += clusters.codebook_bytes
    record = {"layers": [change.layer for change in changes], "codebook_bytes": codebook_bytes}
    return subject.changed(module, changes), record


def _weights(module: nn.Module, layers: Iterable[str]) -> list[Tensor]:
    """Return the weights of layers, each once."""
    found = (weight for name in layers for weight in weights_of(module.get_submodule(name)))
    return list({id(weight): weight for weight in found}.values())


def _clustered(tensor: Tensor, count: int, *, sparse: bool) -> Tensor:
    """Return a tensor's numbers as those of their clusters.

    Args:
        sparse: its zeros are meant, and are a cluster of their own.
    """
    from sklearn.cluster import KMeans

    numbers = tensor.flatten().double().numpy().copy()
    places = np.flatnonzero(numbers) if sparse else np.arange(len(numbers))
    centres = count - 1 if len(places) < len(numbers) else count
    values = numbers[places]
    if len(np.unique(values)) > centres:
        drawn = np.random.default_rng(0).permutation(len(values))[:_SAMPLED]
        start = np.linspace(values.min(), values.max(), centres)[:, None]
        found = KMeans(centres, init=start, n_init=1, max_iter=50).fit(values[drawn, None])
        ordered = np.sort(found.cluster_centers_[:, 0])
        nearest = np.searchsorted((ordered[1:] + ordered[:-1]) / 2, values)
        numbers[places] = ordered[nearest]
    return torch.from_numpy(numbers).reshape(tensor.shape).to(tensor.dtype)
