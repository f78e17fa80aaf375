"""Phase "build": convert one model for one family in all its precisions; what cannot be built says why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgesdk_converters.conversion import Conversion
from edgesdk_converters.convert import convert
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.target import Precision, Target
from table.float_model import RememberingGate
from table.prepared import Prepared

Say = Callable[[str], None]
# By precision as it was asked for.
Cells = dict[str, dict[str, Any]]


def build_family(model: Prepared, target: str, precisions: Sequence[str], say: Say) -> dict[str, Any]:
    """Build all precisions at once; where one of them fails, each by itself, so that it leaves the others.

    Returns:
        `{"cells": {precision: cell}}`; a cell is `{"failure"}`, or `{"bundle", "sha256", "variant", "built", "bytes",
        "worst_parity", "notes"}` with the bundle's path from the scratch folder.
    """
    described = find_target(target)
    offered = [p.value for p in described.precisions[described.runtimes[0]] if p.value in precisions]
    cells: Cells = {name: {"failure": "not offered"} for name in precisions}
    gate = RememberingGate(model.exam.pictures, model.float_answers, model.case.may_differ.get(target))
    try:
        cells |= _cells(_convert(model, target, offered, target, gate, say), described, model)
    except EdgeError as error:
        say(f"{error.message}; each precision by itself")
        for name in offered:
            try:
                made = _convert(model, target, [name], f"{target}-{name}", gate, say)
                cells |= _cells(made, described, model, name)
            except EdgeError as own:
                cells[name] = {"failure": own.message}
    return {"cells": cells}


def bundle_of(cell: dict[str, Any], scratch: Path) -> Path | None:
    """Return a cell's bundle, or None where there is none or it is no longer what was built."""
    if "bundle" not in cell:
        return None
    path = scratch / cell["bundle"]
    return path if path.is_file() and _sha256(path) == cell["sha256"] else None


def _cells(made: Conversion, target: Target, model: Prepared, asked: str = "") -> Cells:
    """Return what was built by the precision that was asked for."""
    cells: Cells = {}
    for variant in made.variants:
        name = asked or ("int8" if variant.precision is Precision.MIXED else variant.precision.value)
        if variant.runtime is target.runtimes[0]:
            cells[name] = _cell(made, variant, model.places.scratch)
        else:
            # Another runtime stands in for the family's own: it is another family's row.
            cells[name] = {"failure": "; ".join(variant.notes)}
    return cells


def _cell(made: Conversion, variant: Variant, scratch: Path) -> dict[str, Any]:
    return {
        "bundle": made.path.relative_to(scratch).as_posix(),
        "sha256": _sha256(made.path),
        "variant": variant.id,
        "built": variant.precision.value,
        "bytes": made.sizes[variant.id],
        "worst_parity": variant.parity.get("worst"),
        "notes": list(variant.notes),
    }


def _convert(
    model: Prepared, target: str, precisions: Sequence[str], name: str, gate: RememberingGate, say: Say
) -> Conversion:
    """Call the converter: the one place that knows how INT8 is asked for."""
    scratch = model.places.scratch
    return convert(
        model.card,
        target,
        output=model.places.own / "bundles" / model.case.name / f"{name}.edgebundle",
        precision=list(precisions),
        gate=lambda *_: (gate, ()),
        calib_data=model.calibration if "int8" in precisions else None,
        cache=scratch / "steps",
        progress=say,
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
