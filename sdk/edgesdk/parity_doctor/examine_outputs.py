"""Compare what an application's model answered with the bundle's answer to the same tensor, and name the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from edgesdk.parity_doctor.diagnosis import Diagnosis, Named, Other, Verdict
from edgesdk.parity_doctor.output_changes import box_changes, likeness_db, score_changes
from edgesdk.parity_doctor.output_parts import Part, parts_of
from edgesdk.parity_doctor.wording import named
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array, TensorSpec

# Another precision of the same model leaves this much; another model does not.
_EXPLAINS_DB = 15.0
# And a mistake that leaves as much as was there explains nothing.
_RISES_DB = 1.0
# A change with more mistakes has to bring this much.
_WORTH_DB = 6.0


def examine_outputs(
    manifest: Manifest, given: Mapping[str, Array], answers: Mapping[str, Mapping[str, Array]]
) -> tuple[Diagnosis, ...]:
    """Name what is done to outputs.

    Args:
        given: the application's, by output name; one without a name is matched by what explains it best.
        answers: the bundle's own outputs, by the tensor that it was given.

    Raises:
        InputError: a name that the model's outputs do not have.
    """
    carried = {state.output for state in manifest.state}
    outputs = {spec.name: spec for spec in manifest.outputs if spec.name not in carried}
    found = []
    for name, array in given.items():
        if name and name not in outputs:
            raise InputError(
                f"The model has no output {name!r}.", hint=f"Its outputs: {', '.join(map(repr, outputs))}."
            )
        of = [outputs[name]] if name else list(outputs.values())
        tried = [
            _examine(manifest, spec, array, which, own[spec.name]) for spec in of for which, own in answers.items()
        ]
        best = max(tried, key=_goodness)
        fits = best.verdict != "not explained" or best.nearest
        found.append(best if fits else replace(best, notes=(_misfit(array, of, name),)))
    return tuple(found)


def _misfit(given: Array, outputs: list[TensorSpec], name: str) -> str:
    """Say what shapes there are; nothing was compared."""
    theirs = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in outputs)
    which = f"the bundle's {theirs}" if name else f"any output of the bundle's ({theirs})"
    calls = ", ".join(f"{spec.name}=…" for spec in outputs)
    return (
        f"Its shape {list(given.shape)} does not fit {which}. Save what the model returns, before anything is decoded or "
        f"left out of it: numpy.savez(path, {calls})."
    )


def _goodness(diagnosis: Diagnosis) -> tuple[bool, int, float]:
    after = diagnosis.after_db if diagnosis.after_db is not None else -200.0
    share = max((other.share for other in diagnosis.nearest), default=-200.0)
    return diagnosis.verdict != "not explained", -len(diagnosis.mistakes), after + share


def _examine(manifest: Manifest, spec: TensorSpec, given: Array, which: str, own: Array) -> Diagnosis:
    best: tuple[tuple[str, ...], float, tuple[Named, ...]] | None = None
    for of_axes, turned in _turned(given.astype(np.float64), own.ndim):
        explained = _all_parts(manifest, spec, own.astype(np.float64), turned)
        if explained is None:
            continue
        mistakes, db, words = explained
        mistakes, words = (*of_axes, *mistakes), (*(named(m, "") for m in of_axes), *words)
        if best is None or (db >= _EXPLAINS_DB) > (best[1] >= _EXPLAINS_DB) or _better(mistakes, db, best):
            best = mistakes, db, words
    before = likeness_db(own.astype(np.float64), given.astype(np.float64)) if own.shape == given.shape else None
    note = f"Compared with the bundle's answer to {which}."
    risen = best is not None and (not best[0] or before is None or best[1] >= before + _RISES_DB)
    if best is None or best[1] < _EXPLAINS_DB or not risen:
        nearest = (Other(best[0], None, 1 - 10 ** (-best[1] / 10)),) if best else ()
        return Diagnosis(spec.name, "not explained", (), before, None, None, nearest=nearest, notes=(note,))
    verdict: Verdict = "explained" if best[0] else "matches"
    return Diagnosis(spec.name, verdict, best[2], before, best[1], None, notes=(note, *_hint(manifest, spec, best[0])))


def _better(mistakes: tuple[str, ...], db: float, best: tuple[tuple[str, ...], float, tuple[Named, ...]]) -> bool:
    if len(mistakes) < len(best[0]):
        return db >= min(best[1] - _WORTH_DB, _EXPLAINS_DB)
    return db > best[1] + (_WORTH_DB if len(mistakes) > len(best[0]) else 0)


def _turned(given: Array, dimensions: int) -> Iterator[tuple[tuple[str, ...], Array]]:
    while given.ndim < dimensions and given.ndim > 0:
        given = given[None]
    while given.ndim > dimensions and given.shape[0] == 1:
        given = given[0]
    yield (), given
    if given.ndim >= 2 and min(given.shape[-2:]) > 1:
        yield ("outputs_transposed",), given.swapaxes(-1, -2)


def _all_parts(
    manifest: Manifest, spec: TensorSpec, own: Array, given: Array
) -> tuple[tuple[str, ...], float, tuple[Named, ...]] | None:
    """Explain every part by itself; the worst part's likeness counts."""
    if own.ndim != given.ndim:
        return None
    mistakes: list[str] = []
    words: list[Named] = []
    worst = 200.0
    for part in parts_of(manifest, spec):
        mine, theirs = (np.moveaxis(a, part.axis, -1)[..., part.channels] for a in (own, given))
        explained = _explain(part, mine, theirs, manifest)
        if explained is None:
            return None
        worst = min(worst, explained[1])
        for mistake in explained[0]:
            mistakes.append(mistake)
            words.append(named(mistake, _wanted(mistake, part)))
    return tuple(mistakes), worst, tuple(words)


def _explain(part: Part, own: Array, given: Array, manifest: Manifest) -> tuple[tuple[str, ...], float] | None:
    if own.shape[:-1] != given.shape[:-1] or 0 in given.shape:
        return None
    if part.kind == "scores":
        changes = score_changes(own, given, part)
    elif part.kind == "boxes" and own.shape == given.shape and manifest.preprocess is not None:
        changes = box_changes(own, given, part, manifest.preprocess.size)
    else:
        changes = iter([((), own, given)])
    scored = [(mistakes, likeness_db(made, shown)) for mistakes, made, shown in changes]
    if not scored:
        return None
    best = max(db for _, db in scored)
    good = [item for item in scored if item[1] >= max(min(best - _WORTH_DB, 60.0), _EXPLAINS_DB)]
    return min(good, key=lambda item: (len(item[0]), -item[1])) if good else max(scored, key=lambda item: item[1])


def _wanted(mistake: str, part: Part) -> str:
    if mistake.startswith("box_units"):
        return "fractions" if part.box_units == "unit" else "pixels"
    return part.box_format if mistake.startswith("box_format") else part.activation


def _hint(manifest: Manifest, spec: TensorSpec, mistakes: tuple[str, ...]) -> tuple[str, ...]:
    """Say what has still to be done to outputs that are as the bundle gives them."""
    needed = {p.activation for p in parts_of(manifest, spec) if p.kind == "scores"} - {"none"}
    if mistakes or not needed:
        return ()
    return (f"These are raw: apply {' and '.join(sorted(needed))} before they are read as probabilities.",)
