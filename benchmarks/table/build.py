"""Convert one model for one family in all its precisions; what cannot be built is a row that says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesdk_converters.conversion import Conversion
from edgesdk_converters.convert import GateMaker, convert
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.target import Precision, Target


@dataclass(frozen=True, slots=True)
class Built:
    """One cell of the table: a variant in a bundle, or the reason why there is none.

    Attributes:
        precision: as asked for; the variant's own may be `mixed`, where a part had to stay in float.
    """

    precision: str
    bundle: Path | None
    variant: Variant | None
    size_bytes: int = 0
    failure: str = ""


def build(
    card: Path,
    target: str,
    precisions: Sequence[str],
    calibration: Path,
    out: Path,
    cache: Path,
    gate: GateMaker,
    say: Callable[[str], None],
) -> list[Built]:
    """Build all precisions at once; where one of them fails, each by itself, so that it leaves the others."""
    described = find_target(target)
    offered = [p.value for p in described.precisions[described.runtimes[0]] if p.value in precisions]
    cells = {name: Built(name, None, None, failure="not offered") for name in precisions}
    try:
        path = out / f"{target}.edgebundle"
        cells |= _cells(_convert(card, target, offered, calibration, path, cache, gate, say), described)
    except EdgeError as error:
        say(f"{target}: {error.message}; each precision by itself")
        for name in offered:
            try:
                path = out / f"{target}-{name}.edgebundle"
                cells |= _cells(_convert(card, target, [name], calibration, path, cache, gate, say), described, name)
            except EdgeError as own:
                cells[name] = Built(name, None, None, failure=own.message)
    return list(cells.values())


def _cells(made: Conversion, target: Target, asked: str = "") -> dict[str, Built]:
    """Return what was built by the precision that was asked for."""
    cells = {}
    for variant in made.variants:
        name = asked or ("int8" if variant.precision is Precision.MIXED else variant.precision.value)
        own = variant.runtime is target.runtimes[0]
        if own:
            cells[name] = Built(name, made.path, variant, made.sizes[variant.id])
        else:
            cells[name] = Built(name, None, None, failure="; ".join(variant.notes))
    return cells


def _convert(
    card: Path,
    target: str,
    precisions: Sequence[str],
    calibration: Path,
    out: Path,
    cache: Path,
    gate: GateMaker,
    say: Callable[[str], None],
) -> Conversion:
    """Call the converter: the one place that knows how INT8 is asked for."""
    return convert(
        card,
        target,
        output=out,
        precision=list(precisions),
        gate=gate,
        calib_data=calibration if "int8" in precisions else None,
        cache=cache,
        progress=say,
    )
