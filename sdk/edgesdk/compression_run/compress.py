"""Compress, judge, convert: the passes of a recipe, with the gate, the training and the runtimes that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.compression.recipe import Recipe, read_recipe, recipe_of
from edgesdk.layouts.outside import check_outside
from edgesdk.report.place import check_report
from edgesdk_converters.framework_edge import needs
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.compression.course import PassReport
    from edgesdk.compression.model_size import ModelSize
    from edgesdk.compression.sensitivity import GroupSensitivity
    from edgesdk_converters.conversion import Conversion

Progress = Callable[[str], None]
_WORK = "passes"


@dataclass(frozen=True, slots=True)
class Compression:
    """What came of a recipe.

    Attributes:
        card: of the compressed model.
        conversion: the bundle.
        figure: the name of the scores.
        score: of the model before all passes.
        before, after: the model's size.
        reports: of each pass.
        sensitivity: what each group of channels bears; empty where nothing asked for it.
        warnings: what is worth knowing.
        page: the report.
    """

    card: Path
    conversion: Conversion
    figure: str
    score: float
    before: ModelSize
    after: ModelSize
    reports: tuple[PassReport, ...]
    sensitivity: tuple[GroupSensitivity, ...]
    warnings: tuple[str, ...]
    page: Path

    def to_json(self) -> dict[str, Any]:
        return {
            "card": str(self.card),
            "report": str(self.page),
            "figure": self.figure,
            "score": self.score,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "passes": [report.to_json() for report in self.reports],
            "sensitivity": [row.model_dump(mode="json") for row in self.sensitivity],
            "conversion": self.conversion.to_json(),
            "warnings": list(self.warnings),
        }


def compress(
    source: str | Path,
    recipe: str | Path | Recipe | Mapping[str, Any],
    target: str,
    *,
    output: str | Path,
    max_drop: float | None = None,
    card: str | Path | None = None,
    loss: str | None = None,
    folder: str | Path | None = None,
    report: str | Path | None = None,
    progress: Progress | None = None,
) -> Compression:
    """Make a model smaller by the passes of a recipe, each judged, and convert what comes of it.

    What is finished is kept below `output`; the same call goes on after it.

    Args:
        source: a card of weights with a factory, or weights with `card`.
        recipe: a YAML file, or its content.
        target: a name, an alias or a path of a target file.
        output: the folder for the compressed model's card and weights, its bundle, its report and the checkpoints.
        max_drop: how much accuracy the model may lose in all, as a fraction (0.01: one point).
        loss: `package.module:function`, for a task without a usual loss; goes before the recipe's own.
        folder: that the recipe's paths are relative to; the recipe's own, or the current one.
        report: the HTML file; `report.html` in `output` unless given.

    Raises:
        InputError: the model, the recipe or the data is wrong, `output` lies in the data, a pass cannot do what is asked, or a
            budget cannot be met.
        ContentChanged: model, teachers or data are not what they were when the run began; finished passes are kept.
        GateFailed: a pass, or every artifact, loses more accuracy than `max_drop`.
        ConversionError: no runtime of the target can have the compressed model.
        MissingExtra: a package is not installed.
        NoSpace: the disk is full.
    """
    from edgesdk.compression_run.request import Request
    from edgesdk.compression_run.run import run

    read, base = _read(recipe, folder)
    if loss is not None:
        read = read.model_copy(update={"loss": loss})
    find_target(target)
    out = Path(output)
    if out.suffix == ".edgebundle" or (out.exists() and not out.is_dir()):
        raise InputError(f"{out} is no folder.", hint="Several files are written: name a folder by -o.")
    if max_drop is not None and not 0 < max_drop < 1:
        raise InputError(f"max_drop is {max_drop:g}, and not between 0 and 1.", hint="One point is 0.01.")
    page = Path(report) if report else out / "report.html"
    named = ((f"data.{name}", path) for name, path in read.data.model_dump().items())
    check_outside(out, {name: base / path for name, path in named if path is not None})
    check_report(page)
    with needs("torch", extra="torch"):
        import torch  # noqa: F401
    request = Request(source, card, read, base, target, out, max_drop, page, out / _WORK)
    return run(request, progress or _silent)


def _read(recipe: str | Path | Recipe | Mapping[str, Any], folder: str | Path | None) -> tuple[Recipe, Path]:
    if isinstance(recipe, Recipe):
        return recipe, Path(folder or ".")
    if isinstance(recipe, Mapping):
        return recipe_of(dict(recipe)), Path(folder or ".")
    return read_recipe(recipe), Path(folder) if folder else Path(recipe).resolve().parent


def _silent(_line: str) -> None:
    pass
