"""Phase "judge": what the built artifacts answer to the whole exam, by the path that a device takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk.evaluate.answers import each_alone
from edgesdk_targets.decode.postprocess import judged_with
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions
from table.build import Say, bundle_of
from table.prepared import Prepared


def judge_family(model: Prepared, cells: Mapping[str, dict[str, Any]], say: Say) -> dict[str, Any]:
    """Judge every cell that was built.

    Returns:
        `{"figures": {precision: {"sha256", "ran_by", "figures"} or {"sha256", "failure"}}, "task", "pictures", "main",
        "float"}`: the digest is that of the bundle, and "float" holds the float model's own figures.
    """
    exam, wanted = model.exam, model.float_answers.results
    found: dict[str, Any] = {}
    for precision, cell in cells.items():
        bundle = bundle_of(cell, model.places.scratch)
        if bundle is not None:
            say(precision)
            found[precision] = {"sha256": cell["sha256"], **_judged(model, bundle, cell["variant"])}
    return {
        "figures": found,
        "task": model.source.card.task,
        "pictures": len(exam.pictures),
        "main": exam.main,
        "float": {name: figure.to_json() for name, figure in exam.figures(wanted, wanted).items()},
    }


def _judged(model: Prepared, bundle: Path, variant: str) -> dict[str, Any]:
    exam = model.exam
    settings = judged_with(model.source.card.task)
    try:
        with load_model(bundle, variant=variant, options=SessionOptions(threads=1), postprocess=settings) as loaded:
            got = exam.answers(each_alone(loaded))
            ran_by = loaded.runtime.value
    except EdgeError as error:
        return {"failure": error.message}
    figures = exam.figures(model.float_answers.results, got)
    return {"ran_by": ran_by, "figures": {name: figure.to_json() for name, figure in figures.items()}}
