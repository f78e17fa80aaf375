"""A map of a set: each picture a point, alike ones near; and the page that shows it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from edgesdk.data.features.table import Features
from edgesdk.data.thumbnails import thumbnails
from edgesdk.report.page import Page
from edgesdk.report.plots import COLOURS, bars, draw
from edgesdk_converters.calibration.k_centre import k_centre
from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WAYS = ("pca", "tsne")
_MARKS = "osD^vP*X"
_NAMED = 24
_SHOWN = 24
_SCORES = 25
# t-SNE's neighbourhoods are of about so many pictures.
_PERPLEXITY = 30.0


def plane(features: Features, way: str = "pca", *, seed: int = 0) -> Array:
    """Return (N, 2) float64.

    Args:
        way: `pca`, which keeps distances as far as two axes can; or `tsne`, which keeps neighbours.

    Raises:
        InputError: fewer than three pictures, or an unknown way.
        MissingExtra: scikit-learn is not installed.
    """
    if way not in WAYS:
        raise InputError(f"There is no map {way!r}.", hint=f"Known are {', '.join(WAYS)}.")
    count = len(features.items)
    if count < 3:
        raise InputError(f"A map of {count} pictures shows nothing.", hint="Give three pictures or more.")
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise MissingExtra("scikit-learn", "data") from error
    points = features.standardised()
    if way == "pca":
        if points.shape[1] < 2:
            points = np.column_stack([points, np.zeros(count)])
        return np.asarray(PCA(2, random_state=seed).fit_transform(points), np.float64)
    few = PCA(min(50, *points.shape), random_state=seed).fit_transform(points)
    perplexity = min(_PERPLEXITY, (count - 1) / 3)
    # A step is so short that threads would only wait for each other.
    with threadpool_limits(1):
        made = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(few)
    return np.asarray(made, np.float64)


def map_page(title: str, features: Features, points: Array, way: str, scores: dict[str, float]) -> Page:
    """Return the page with the map, the features' scores where there are some, and the most different pictures."""
    page = Page(title, f"{len(features.items)} pictures by {len(features.names)} features.")
    page.heading("Map").figure(
        drawing(features, points), f"Each picture a point ({way.upper()}); colour and mark tell its class."
    )
    if scores:
        best = sorted(scores.items(), key=lambda pair: -pair[1])[:_SCORES]
        page.heading("Features").figure(
            bars([name for name, _ in best], {"score": [value for _, value in best]}, unit="score"),
            "Those that were chosen.",
        )
    some = [features.items[i] for i in k_centre(features.standardised().astype(np.float32), _SHOWN)]
    small = thumbnails(some)
    page.heading("The most different pictures")
    page.pictures([(small[i.name], f"{', '.join(i.classes)} {i.name}") for i in some if i.name in small])
    return page


def drawing(features: Features, points: Array) -> str:
    """Return the map as SVG."""
    classes = features.classes
    names = [name for name, _ in Counter(classes).most_common(_NAMED)]

    def paint(axes: Axes) -> None:
        for place, name in enumerate(names):
            rows = [i for i, one in enumerate(classes) if one == name]
            mark, colour = _MARKS[place // len(COLOURS) % len(_MARKS)], COLOURS[place % len(COLOURS)]
            axes.scatter(
                points[rows, 0], points[rows, 1], s=14, marker=mark, color=colour, label=name or "no class", alpha=0.75
            )
        rest = [i for i, one in enumerate(classes) if one not in names]
        if rest:
            axes.scatter(points[rest, 0], points[rest, 1], s=8, color="#999999", label="others")
        axes.set_xticklabels([])
        axes.set_yticklabels([])
        axes.figure.legend(loc="outside right upper", fontsize=8)

    return draw(paint, inches=(9.0, 6.0))
