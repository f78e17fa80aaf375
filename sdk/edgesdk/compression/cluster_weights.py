"""Weight clustering: a weight holds few distinct numbers, found by k-means, which deflate writes short."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesdk.compression.changes import Clustered, Sparse
from edgesdk.compression.layers import layers_matching, weights_of
from edgesdk.compression.pass_settings import Cluster
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench

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
    module = subject.copy()
    changes: list[Clustered] = []
    codebook_bytes = 0
    sparse = {change.layer for change in subject.changes if isinstance(change, Sparse)}
    bits = max(1, math.ceil(math.log2(count)))
    for name in layers:
        for tensor in weights_of(module.get_submodule(name)):
            used = _cluster(tensor, count, sparse=name in sparse)
            codebook_bytes += math.ceil(tensor.numel() * bits / 8) + used * tensor.element_size()
        changes.append(Clustered(layer=name, count=count))
    made = subject.changed(module, changes)
    return made, {"layers": list(layers), "count": count, "codebook_bytes": codebook_bytes}


@torch.no_grad()
def _cluster(tensor: Tensor, count: int, *, sparse: bool) -> int:
    """Replace a tensor's numbers by those of their clusters; returns how many there are.

    Args:
        sparse: its zeros are meant, and are a cluster of their own.
    """
    from sklearn.cluster import KMeans

    numbers = tensor.detach().flatten().double().numpy()
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
    tensor.copy_(torch.from_numpy(numbers).reshape(tensor.shape))
    return len(torch.unique(tensor))


def cluster_pass(settings: Cluster, subject: Subject, _bench: Workbench) -> PassDone:
    """Cluster the weights of the layers that the settings name."""
    layers = layers_matching(subject.module, settings.layers, CLUSTERED)
    return PassDone(*cluster_weights(subject, layers, settings.count))
