"""The report of a training: how it went, epoch by epoch, which epoch was taken and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk.report.curves import Line, curves
from edgesdk.report.page import Page


def training_page(name: str, training: Mapping[str, Any], warnings: Sequence[str] = ()) -> Page:
    """Return the report.

    Args:
        name: of the model.
        training: as `Fitted.to_json` gives it.
    """
    metric, best = training["metric"].replace("_", " "), training["history"][training["best_epoch"]]
    page = Page(
        f"Training of {name}",
        f"{training['epochs']} epochs, {training['steps']} steps in {training['seconds']:.0f} s on {training['device']}: "
        f"{training['ended']}.",
    )
    which = "highest" if training["higher_is_better"] else "lowest"
    page.text(
        f"Taken is epoch {best['epoch'] + 1}, whose {metric} is the {which} on the pictures kept to judge by: "
        f"{best['figure']:.4g}. Of equal ones it is that of the lower validation loss. Its weights are {training['weights']}."
    )
    add_curves(page, training)
    terms = list(best["terms"])
    page.heading("Epochs").table(
        ["epoch", "loss", *terms, "validation loss", metric, "learning rate", "seconds"],
        [
            [
                str(record["epoch"] + 1),
                *(f"{value:.4g}" for value in _figures(record, terms)),
                f"{record['seconds']:.1f}",
            ]
            for record in training["history"]
        ],
    )
    for warning in warnings:
        page.text(f"warning: {warning}")
    return page


def add_curves(page: Page, training: Mapping[str, Any]) -> None:
    """Add the curves of a training to a report."""
    history, metric = training["history"], training["metric"].replace("_", " ")
    epochs = [float(record["epoch"] + 1) for record in history]
    names = {"loss": "loss, learnt from", "validation_loss": "loss, judged by"}
    lines = [Line(shown, epochs, [record[name] for record in history]) for name, shown in names.items()]
    lines += [Line(f"of it {term}", epochs, [one["terms"][term] for one in history]) for term in history[0]["terms"]]
    page.figure(curves(lines, across="epoch", up="loss"), "What was made small, by epoch.")
    if training["metric"] != "validation_loss":
        best = training["best_epoch"] + 1
        figures = Line(metric, epochs, [record["figure"] for record in history])
        page.figure(
            curves([figures], across="epoch", up=metric),
            f"{metric} on the pictures kept to judge by; that of epoch {best} was taken, {training['best']:.4g}.",
        )


def _figures(record: Mapping[str, Any], terms: Sequence[str]) -> list[float]:
    of_terms = [record["terms"][term] for term in terms]
    return [record["loss"], *of_terms, record["validation_loss"], record["figure"], record["learning_rate"]]
