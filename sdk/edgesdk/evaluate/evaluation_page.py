"""The page of an evaluation: all figures, the confusion matrix, the reliability diagram, ROC and robustness curves."""

from __future__ import annotations

import numpy as np

from edgesdk.evaluate.intervals import Metric, proportion
from edgesdk.evaluate.robustness import Curve, Robustness
from edgesdk.evaluate.scorecard import ClassDetail, Scorecard
from edgesdk.evaluate.working_point import BoxDetail
from edgesdk.report.curves import Line, curves, matrix
from edgesdk.report.page import Page
from edgesdk_targets.tensor import Array

# More classes are no picture that can be read: then the greatest confusions are listed, and the weakest curves drawn.
_MATRIX = 40
_LISTED = 20
_CURVES = 8
_CURVE_POINTS = 200


def evaluation_page(name: str, runtime: str, card: Scorecard, pictures: int, robustness: Robustness | None) -> Page:
    """Return the page about one model, ready to be written.

    Args:
        name: what the model is called.
        runtime: what ran it.
        pictures: how many it was measured on.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    main, metric = next(iter(card.metrics.items()))
    value, interval = metric.in_words()
    page = Page(f"Evaluation: {name}", f"{main} {value} ({interval}) on {pictures} pictures, run by {runtime}.")
    page.heading("Figures")
    page.table(["figure", "value", "95 % interval", "n"], _rows(card.metrics))
    for warning in card.warnings:
        page.text(f"Note: {warning}")
    if card.detail is not None:
        _classifier(page, card, card.detail)
    if card.boxes is not None:
        _detector(page, card, card.boxes)
    if robustness is not None:
        _robustness(page, robustness)
    if card.per_class:
        page.heading("Each class" if card.task != "regress" else "Each number")
        rows = [[label, *row] for label, metrics in card.per_class.items() for row in _rows(metrics)]
        page.table(["of", "figure", "value", "95 % interval", "n"], rows)
    return page


def _rows(metrics: dict[str, Metric]) -> list[list[str]]:
    return [[name, *metric.in_words(), str(metric.n)] for name, metric in metrics.items()]


def _classifier(page: Page, card: Scorecard, detail: ClassDetail) -> None:
    page.heading("Confusion matrix")
    said = "How often each class (row) was answered with each (column); shaded by its part of the row"
    _confusion(page, detail.labels, detail.confusion, said)
    if detail.reliability:
        page.heading("Reliability")
        full = [one for one in detail.reliability if one.n]
        right = [proportion(round(one.accuracy * one.n), one.n) for one in full]
        line = Line(
            "answers",
            [one.confidence for one in full],
            [share.value for share in right],
            [share.low for share in right],
            [share.high for share in right],
        )
        plot = curves([line], across="mean score", up="share of right answers", diagonal=True, most=1.0)
        page.figure(
            plot,
            "Right answers by score, each point one bin with its 95 % interval; a calibrated model lies on the dotted line",
        )
        rows = [
            [f"{one.low:.3f} … {one.high:.3f}", str(one.n), f"{one.confidence:.4f}", f"{one.accuracy:.4f}"]
            for one in full
        ]
        page.table(["score", "answers", "mean score", "right"], rows)
    if detail.curves:
        _roc(page, card, detail)


def _detector(page: Page, card: Scorecard, detail: BoxDetail) -> None:
    page.heading(f"What is found, and as what, from a score of {detail.threshold:g} on")
    said = (
        "As which class (column) the objects of each (row) were found, at an overlap of one half; the last row are detections "
        "where nothing is, the last column objects that were missed"
    )
    _confusion(page, detail.labels, detail.confusion, said)
    page.heading("Precision and recall of each class")
    areas = {label: card.per_class[label]["ap50"].value for label in detail.curves}
    weakest = sorted(areas, key=lambda label: areas[label])[:_CURVES]
    lines = [Line(f"{label} ({areas[label]:.3f})", *_thinned(*detail.curves[label])) for label in weakest]
    plot = curves(lines, across="recall", up="precision", most=1.0)
    shown = "All classes" if len(weakest) == len(areas) else f"The {len(weakest)} weakest of {len(areas)} classes"
    page.figure(plot, f"{shown}, with AP50: how many of the found are right, as ever weaker detections are let through")


def _confusion(page: Page, labels: tuple[str, ...], counts: Array, said: str) -> None:
    if len(labels) <= _MATRIX:
        page.figure(matrix(labels, counts.tolist(), across="answered", up="true class"), said)
    else:
        page.table(["true class", "answered", "times"], _confused(labels, counts), "What was confused most often.")


def _confused(labels: tuple[str, ...], counts: Array) -> list[list[str]]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]
    cells = [divmod(int(place), len(labels)) for place in order]
    return [[labels[i], labels[j], str(wrong[i, j])] for i, j in cells if wrong[i, j]]


def _roc(page: Page, card: Scorecard, detail: ClassDetail) -> None:
    page.heading("ROC, each class against all others")
    areas = {label: card.per_class[label]["roc_auc"].value for label in detail.curves}
    weakest = sorted(areas, key=lambda label: areas[label])[:_CURVES]
    lines = [Line(f"{label} ({areas[label]:.3f})", *_thinned(*detail.curves[label])) for label in weakest]
    plot = curves(lines, across="false positive rate", up="true positive rate", diagonal=True, most=1.0)
    shown = "All classes" if len(weakest) == len(areas) else f"The {len(weakest)} weakest of {len(areas)} classes"
    page.figure(plot, f"{shown}, with the area under the curve; guessing lies on the dotted line")


def _thinned(across: Array, up: Array) -> tuple[list[float], list[float]]:
    """Leave out points that cannot be told apart in a plot."""
    keep = np.unique(np.linspace(0, len(across) - 1, min(len(across), _CURVE_POINTS)).round().astype(int))
    return across[keep].tolist(), up[keep].tolist()


def _robustness(page: Page, robustness: Robustness) -> None:
    page.heading("Robustness")
    rows = [["original", "", "", *robustness.original.in_words()]]
    for curve in robustness.curves:
        one, figures = curve.disturbance, zip(curve.disturbance.grades, curve.figures, strict=True)
        rows += [[one.name, f"{grade:g}", one.unit, *figure.in_words()] for grade, figure in figures]
    for curve in robustness.curves:
        page.figure(
            _drawn(robustness, curve),
            f"{curve.disturbance.name}: {robustness.figure} at each grade ({curve.disturbance.unit}), the band is its "
            f"95 % interval",
        )
    page.table(["disturbance", "grade", "unit", robustness.figure, "95 % interval"], rows)


def _drawn(robustness: Robustness, curve: Curve) -> str:
    figures = (robustness.original, *curve.figures)
    places = [float(place) for place in range(len(figures))]
    line = Line(
        curve.disturbance.name,
        places,
        [figure.value for figure in figures],
        [figure.low for figure in figures],
        [figure.high for figure in figures],
    )
    original = Line("original", [places[0], places[-1]], [robustness.original.value] * 2)
    ticks = ["original", *(f"{grade:g}" for grade in curve.disturbance.grades)]
    most = 1.0 if robustness.figure not in {"cer", "mae"} else None
    return curves([line, original], across=curve.disturbance.unit, up=robustness.figure, ticks=ticks, most=most)
