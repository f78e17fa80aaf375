"""`edgesdk compare --folds K --train PLAN`: models that are trained anew for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.cli.output import console, note, plain, print_json, progress_line
from edgesdk.evaluate.subject import is_bundle
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.cross_validation.outcome import CrossValidation
    from edgesdk.report.page import Page


def compare_trained(
    artifacts: Sequence[str],
    data: Path | None,
    folds: int,
    plan: Path,
    *,
    output: Path | None,
    loss: str | None,
    report: Path | None,
    json: bool,
    limited: bool,
) -> None:
    """Train each card's model once per fold, and print what comes of it.

    Args:
        limited: whether a target, a limit or a time was given.

    Raises:
        InputError: an option is missing, or something that is no card is to be trained; see `cross_validate` for the rest.
    """
    from edgesdk.cross_validation.training import cross_validate
    from edgesdk.train.plan import read_plan

    if limited:
        raise InputError(
            "--train compares ways to train by their figures: a target, limits and times have no say.",
            hint="Leave them out; convert the model that is taken, and compare its variants.",
        )
    if data is None or not folds or output is None:
        missing = "--data" if data is None else "--folds" if not folds else "--output"
        raise InputError(
            f"--train needs {missing}.",
            hint="edgesdk compare a.yaml b.yaml --data D --folds 5 --train plan.yaml -o OUT",
        )
    cards = {text: Path(text) for text in artifacts}
    for text, path in cards.items():
        if is_bundle(path) or path.suffix not in {".yaml", ".yml"}:
            raise InputError(f"{text} is no card: it cannot be trained.", hint="Give cards of models with a factory.")
    try:
        with progress_line("compare") as say:
            found = cross_validate(cards, data, folds, read_plan(plan), folder=output, loss=loss, say=say)
    except KeyboardInterrupt:
        note(f"stopped; every finished epoch is kept: the same command goes on with {output}")
        raise
    if report is not None:
        _page(found, data, plan).write(report)
    if json:
        print_json({**found.to_json(), "report": str(report) if report else None})
        return
    _print(found)
    if report is not None:
        note(f"report: {report}")


def _page(found: CrossValidation, data: Path, plan: Path) -> Page:
    from edgesdk.report.page import Page

    page = Page("Models cross-validated", f"{found.why}.")
    for one in found.tables():
        page.heading(one.title)
        page.table(one.columns, one.rows, one.about)
    page.heading("How it was measured")
    page.text(
        f"{found.folds} folds of {data}, by the plan {plan}: for each fold the model was trained anew on the others, and asked "
        "about the pictures of its own, which it never saw."
    )
    return page


def _print(found: CrossValidation) -> None:
    from edgesdk.cli.compare_output import print_further

    for one in found.tables():
        print_further(one)
    console().print(f"{plain(found.why)}.", highlight=False, markup=False)
