"""Weight clustering by what each layer bears: centres are spread so that deflate leaves no more bytes than of one count for all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from edgesdk.compression.by_layer import Taken, by_layer
from edgesdk.compression.cluster_weights import CLUSTERED, Clusters, clustered, with_clusters
from edgesdk.compression.layer_sensitivity import Layer, Way
from edgesdk.compression.layers import layers_matching, sharing_groups
from edgesdk.compression.model_size import deflated_bytes
from edgesdk.compression.pass_settings import Cluster
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench

# Of the count that all layers would have alike, what is tried for one of them.
_STEPS = (0.5, 1.0, 2.0, 4.0)
_FEWEST, _MOST = 2, 1 << 16


def cluster_pass(settings: Cluster, subject: Subject, bench: Workbench) -> PassDone:
    """Cluster the weights of the layers that the settings name: with one count for all, or by what each bears, in as many bytes."""
    count = settings.count
    groups = sharing_groups(subject.module, layers_matching(subject.module, settings.layers, CLUSTERED))
    usual = {_name(group): clustered(subject, group, count) for group in groups}
    made, record = with_clusters(subject, usual.values())
    alike = PassDone(made, {**record, "count": count})
    if not bench.evaluations:
        return alike
    counts = {_words(one): one for one in sorted({min(_MOST, max(_FEWEST, int(count * step))) for step in _STEPS})}

    def combine(taken: Taken) -> PassDone:
        # Found again, as k-means of the same numbers finds the same: no layer's other ways are held until here.
        chosen = dict(usual)
        for name, words in taken.items():
            if counts[words] != count:
                chosen[name] = clustered(subject, usual[name].layers, counts[words])
        made, record = with_clusters(subject, chosen.values())
        by_name = {layer: clusters.count for clusters in chosen.values() for layer in clusters.layers}
        return PassDone(made, {**record, "count": count, "counts": by_name})

    layers = [
        Layer(
            name=name,
            takes=float(deflated_bytes(clusters.tensors)),
            tried=tuple(counts),
            alike=_words(count),
            ways=partial(_ways, subject, clusters, tuple(counts.values())),
        )
        for name, clusters in usual.items()
    ]
    return by_layer(subject, alike, layers, combine, bench, across="bits for each number", unit="bytes, deflated")


def _ways(subject: Subject, usual: Clusters, counts: Sequence[int]) -> Iterator[Way]:
    """Make the ways of one layer, or of several that share a weight, whose bytes count once."""
    for count in counts:
        clusters = usual if count == usual.count else clustered(subject, usual.layers, count)
        yield Way(
            means=_words(count),
            amount=math.log2(count),
            size=float(deflated_bytes(clusters.tensors)),
            error=clusters.error,
            made=with_clusters(subject, [clusters])[0],
        )


def _name(layers: Sequence[str]) -> str:
    return ", ".join(layers)


def _words(count: int) -> str:
    return f"{count} numbers"
