"""Run a recipe as `edgesdk compress` does, without its gate, which would refuse the worse results that a table is to show."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rows import Recipe, told_of
from table.cases import FAMILIES

from edgesdk.compression.model_size import model_size
from edgesdk.compression.recipe import recipe_of
from edgesdk.compression.stored import write_compressed
from edgesdk.compression_run.pictures import Pictures
from edgesdk.compression_run.prepared import prepare
from edgesdk.compression_run.request import Request
from edgesdk.compression_run.start import subject_of
from edgesdk_converters.source import resolve_source


def ungated(card: Path, recipe: Recipe, data: Mapping[str, Path], folder: Path) -> tuple[Path, dict[str, Any]]:
    """Run a recipe's passes, and go on after the last one that is finished.

    Returns:
        The card of what came of it, and what is told of it: sizes, passes, and what the gate says of a point.
    """
    source = resolve_source(card)
    start, read = subject_of(source), recipe_of(json.loads(recipe.text(data)))
    # The target is that of timed budgets, of which there are none.
    request = Request(
        card, None, read, folder, FAMILIES["OpenVINO"], folder, None, folder / "report.html", folder / "passes"
    )
    prepared = prepare(request, source, start, Pictures(request.base, request.folder), _say, gated=False)
    small = prepared.course.run()
    verdict = prepared.judging.verdict("compressed", small)
    told = {
        "before": model_size(start).to_json(),
        "after": model_size(small).to_json(),
        "passes": [told_of(report.to_json()) for report in prepared.course.reports],
        "gate": {"outcome": verdict.outcome, "reason": verdict.reason},
    }
    return write_compressed(small, source.card_file, folder), told


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
