"""What a result says, as a few numbers by name, so that results of two models can be compared without knowing the truth. Pure.

Objects and classes are named by their labels and not by their numbers: a model whose labels were mixed up gives the same
numbers, and other names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from edgesdk_agent.update.result_profile import LABEL
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text, name_of


def features_of(result: Result) -> Mapping[str, float]:
    """Return a result's numbers: how many of each label there are, how sure the model is, and what else its task gives."""
    if isinstance(result, Chained):
        inner = [features_of(one) for one in result.then if one is not None]
        second = {name for one in inner for name in one}
        means = {f"then {name}": sum(one.get(name, 0.0) for one in inner) / len(inner) for name in second}
        return {**features_of(result.detections), **means}
    if isinstance(result, Detections):
        found = Counter(name_of(int(one), result.names) for one in result.class_ids)
        sure = {"score": float(result.scores.mean())} if len(result) else {}
        return {**{LABEL + label: float(count) for label, count in found.items()}, **sure}
    if isinstance(result, Classification):
        return {LABEL + result.label: 1.0, "score": result.score} if len(result.class_ids) else {}
    if isinstance(result, Text):
        return {"characters": float(len(result.text)), "score": result.confidence}
    if isinstance(result, Regression):
        return {f"value {name_of(i, result.names)}": float(one) for i, one in enumerate(result.values[:16])}
    assert isinstance(result, Embedding)  # noqa: S101  (the last kind of result)
    return {"length": float(np.linalg.norm(result.vector))}
