"""Weight clustering by what each layer bears: centres are spread so that deflate leaves no more bytes than of one count for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from edgesdk.compression.cluster_weights import CLUSTERED, Clusters, cluster_weights, clustered, with_clusters
from edgesdk.compression.layer_sensitivity import KeptScores, Way, survey_layers, survey_record
from edgesdk.compression.layers import layers_matching
from edgesdk.compression.model_size import deflated_bytes
from edgesdk.compression.pass_settings import Cluster
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench

# Of the count that all layers would have alike, what is tried for one of them.
_STEPS = (0.5, 1.0, 2.0, 4.0)
_FEWEST, _MOST = 2, 1 << 16


def cluster_pass(settings: Cluster, subject: Subject, bench: Workbench) -> PassDone:
    """Cluster the weights of the layers that the settings name: with one count for all, or by what each bears, in as many bytes."""
    layers = layers_matching(subject.module, settings.layers, CLUSTERED)
    if not bench.evaluations:
        return PassDone(*cluster_weights(subject, layers, settings.count))
    return _by_layer(subject, layers, settings.count, bench)


def _by_layer(subject: Subject, layers: Sequence[str], count: int, bench: Workbench) -> PassDone:
    """Give each layer the number of centres that `spread` finds; all alike where that scores better."""
    counts = sorted({min(_MOST, max(_FEWEST, int(count * step))) for step in _STEPS})
    found = {name: [clustered(subject, name, one) for one in counts] for name in layers}
    ways = {name: [_way(subject, name, clusters) for clusters in found[name]] for name in layers}
    place = counts.index(count)
    alike, about_alike = with_clusters(subject, {name: found[name][place] for name in layers})
    rows = survey_layers(
        ways,
        dict.fromkeys(layers, place),
        score=bench.score,
        whole=subject,
        evaluations=bench.evaluations,
        kept=KeptScores(bench.folder),
        say=bench.say,
    )
    chosen = {name: found[name][place] for name in layers} | {row.layer: found[row.layer][row.taken] for row in rows}
    made, about = with_clusters(subject, chosen)
    scores = bench.score(alike), bench.score(made)
    survey = survey_record(rows, across="bits for each number", unit="bytes, deflated", scores=scores)
    if scores[1] < scores[0]:
        return PassDone(alike, {**about_alike, "count": count, "survey": survey})
    by_name = {name: clusters.count for name, clusters in chosen.items()}
    return PassDone(made, {**about, "count": by_name, "survey": survey})


def _way(subject: Subject, name: str, clusters: Clusters) -> Way:
    return Way(
        amount=math.log2(clusters.count),
        means=f"{clusters.count} numbers",
        size=float(deflated_bytes(clusters.tensors)),
        error=clusters.error,
        make=partial(_only, subject, name, clusters),
    )


def _only(subject: Subject, name: str, clusters: Clusters) -> Subject:
    return with_clusters(subject, {name: clusters})[0]
