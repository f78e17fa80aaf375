"""Choose among features, by scikit-learn: by variance, by mutual information with the class, by recursive elimination."""

from __future__ import annotations

import warnings

import numpy as np

from edgesdk.data.features.table import Features
from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.tensor import Array

WAYS = ("variance", "mutual-information", "elimination")
# A class with fewer pictures says nothing about a feature.
_LEAST_OF_CLASS = 2


def choose(features: Features, way: str, count: int, *, seed: int = 0) -> tuple[list[int], Array]:
    """Return the columns chosen, best first, and the score of every column, (D,) float64.

    Args:
        way: one of `WAYS`. Of an elimination the score is minus the round in which a column went.

    Raises:
        InputError: the way is not known, or needs classes that are not there.
        MissingExtra: scikit-learn is not installed.
    """
    if way not in WAYS:
        raise InputError(f"There is no way {way!r} to choose features.", hint=f"Known are {', '.join(WAYS)}.")
    if count < 1:
        raise InputError(f"{count} features were asked for.", hint="Ask for at least one.")
    try:
        import sklearn.feature_selection as selection
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise MissingExtra("scikit-learn", "data") from error
    if way == "variance":
        # Over the range: a feature's unit must not decide.
        span = np.ptp(features.matrix, axis=0)
        scaled = features.matrix / np.where(span > 1e-9, span, 1)
        scores = np.asarray(scaled.astype(np.float64).var(axis=0))
    else:
        rows, classes = _classed(features)
        points = features.standardised()[rows]
        # Each of many steps is so short that threads would only wait for each other.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the last digit was not reached
            if way == "mutual-information":
                scores = np.asarray(selection.mutual_info_classif(points, classes, random_state=seed))
            else:
                model = LogisticRegression(max_iter=200, random_state=seed)
                found = selection.RFE(model, n_features_to_select=count, step=0.2).fit(points, classes)
                scores = -np.asarray(found.ranking_, np.float64)
    order = np.argsort(-scores, kind="stable")
    return [int(place) for place in order[:count]], scores


def _classed(features: Features) -> tuple[Array, Array]:
    classes = np.asarray(features.classes)
    names, counts = np.unique(classes, return_counts=True)
    usable = {str(name) for name, count in zip(names, counts, strict=True) if name and count >= _LEAST_OF_CLASS}
    if len(usable) < 2:
        raise InputError(
            "Choosing by class needs two classes with two pictures each.",
            hint="Use --choose variance, or label the set.",
        )
    rows = np.flatnonzero([name in usable for name in classes])
    return rows, classes[rows]
