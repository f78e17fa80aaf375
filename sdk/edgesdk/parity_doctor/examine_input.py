"""Compare what an application fed with what the bundle asks for, and name the difference."""

from __future__ import annotations

import numpy as np

from edgesdk.parity_doctor.casts import cast_as, search_casts
from edgesdk.parity_doctor.diagnosis import Diagnosis, Other
from edgesdk.parity_doctor.pixels import Picture
from edgesdk.parity_doctor.predict import predicted_by, reference, sqnr_db
from edgesdk.parity_doctor.reading import Contract, Reading, readings
from edgesdk.parity_doctor.search import EXPLAINED_SHARE, Candidate, search
from edgesdk.parity_doctor.wording import name_all
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

# A picture flatter than this (standard deviation, grey levels) looks the same in any order of colours or size.
_FLAT = 3.0
# With fewer pixels, chance finds a scaling that fits.
_FEWEST = 32
# What rounding leaves.
_SAME_LEVELS = 0.35
# A mistake explains a dump only where it brings the first much; the second where all but a decoder's noise is explained.
_WORTH_DB, _WORTH_NEAR_DB = 3.0, 0.25
_NEAR_DB = 30.0
_NO_BETTER = "The first of these brings the tensor no nearer to what the bundle asks for, and so explains nothing."
_NEARLY = (
    "The first of these comes near. What remains may be another filter, a shift by a part of a pixel, a compression in "
    "between, or noise that was added."
)


def contract_of(manifest: Manifest, dump: Array) -> tuple[Contract, Preprocess]:
    """Return what the model takes: the manifest's own input, or that of a variant which the dump fits exactly.

    Raises:
        InputError: the model does not take one picture, or the bundle does not say how to prepare it.
    """
    states = {state.input for state in manifest.state}
    images = [i for i, spec in enumerate(manifest.inputs) if spec.name not in states]
    if manifest.preprocess is None or len(images) != 1:
        raise InputError(
            f"{manifest.name} does not say how a picture is prepared for it, so nothing can be compared.",
            hint="Add `preprocess` to the model's card and convert it again.",
        )
    spec = manifest.preprocess
    at = images[0]
    own = _contract(manifest.inputs[at], spec, normalised=True)
    of_variants = [_contract(v.inputs[at], spec, normalised=not v.folded) for v in manifest.variants]
    chosen = next((c for c in (own, *of_variants) if (c.shape, c.dtype) == (dump.shape, str(dump.dtype))), own)
    if not chosen.normalised:
        ones = {"mean": (0.0,) * spec.channels, "std": (1.0,) * spec.channels}
        spec = spec.model_copy(update=ones)
    return chosen, spec


def _contract(tensor: TensorSpec, spec: Preprocess, *, normalised: bool) -> Contract:
    return Contract(tensor.layout or "NCHW", tensor.dtype, spec.size, spec.channels, normalised)


def examine_input(dump: Array, contract: Contract, spec: Preprocess, picture: Picture) -> Diagnosis:
    """Name the smallest change that explains a dump.

    Raises:
        InputError: the dump is no picture, or the picture is too flat to tell anything.
    """
    step = max(1, min(picture.upright.shape[:2]) // 256)
    if float(picture.upright[::step, ::step].std()) < _FLAT:
        raise InputError(
            "The picture is nearly of one colour, and would look the same in any order or scale.",
            hint="Give a picture with content, as the camera sees in use.",
        )
    given = readings(dump, contract)
    height, width = given[0].size
    if height * width < _FEWEST:
        raise InputError(
            f"A tensor of {height} x {width} pixels is too small to tell anything from.",
            hint=f"This model takes {list(contract.shape)}; dump the array that it is called with.",
        )
    before = _before(given[0], spec, picture)
    if np.ptp(given[0].values) == 0:
        return _unexplained(before, (), (_one_value(float(given[0].values.flat[0])),))
    found = search(given, spec, picture)
    best = found.best or search_casts(given, spec, picture)
    if best is None:
        return _unexplained(before, found.nearest, _hopeless(found.nearest))
    exact = predicted_by(best, picture)
    after_db = sqnr_db(cast_as(best.mistakes, exact), best.reading.values)
    worth_db = _WORTH_DB if after_db < _NEAR_DB else _WORTH_NEAR_DB
    if best.mistakes and before is not None and after_db < before + worth_db:
        return _unexplained(before, (best, *found.nearest), (_NO_BETTER,))
    of_type = _of_type(dump, contract, best, exact)
    mistakes = (*best.mistakes, *of_type)
    levels = best.levels if found.best is not None else None
    return Diagnosis(
        "input",
        "explained" if mistakes else "matches",
        name_all(mistakes, spec, contract),
        before,
        after_db,
        levels,
        also=tuple(map(_other, found.nearest)) + _same_effect(best, of_type),
        notes=_notes(levels),
    )


def _unexplained(before: float | None, nearest: tuple[Candidate, ...], notes: tuple[str, ...]) -> Diagnosis:
    others = tuple(map(_other, nearest))
    return Diagnosis("input", "not explained", (), before, None, None, nearest=others, notes=notes)


def _before(plain: Reading, spec: Preprocess, picture: Picture) -> float | None:
    wanted = reference(spec, picture)
    if plain.mistakes or plain.values.shape != wanted.shape:
        return None
    return sqnr_db(wanted, plain.values)


def _of_type(dump: Array, contract: Contract, best: Candidate, exact: Array) -> tuple[str, ...]:
    """Return the mistakes that the element type shows, where another one does not say it already."""
    names = {mistake.partition(":")[0] for mistake in best.mistakes}
    whole = bool(np.array_equal(dump, np.rint(dump)))
    if str(dump.dtype) != contract.dtype:
        unscaled = dump.dtype.kind in "iu" and names & {
            "not_normalised",
            "scale_missing",
            "std_missing",
            "normalisation",
        }
        return () if unscaled or "cast" in names else (f"dtype:{dump.dtype}",)
    if dump.dtype == np.float32 and not whole and _is_half(dump) and not _is_half(exact.astype(np.float32)):
        return ("float16_values",)
    return ()


def _is_half(values: Array) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))


def _other(candidate: Candidate) -> Other:
    return Other(candidate.mistakes, candidate.levels, candidate.share)


def _same_effect(best: Candidate, of_type: tuple[str, ...]) -> tuple[Other, ...]:
    if best.mistakes and best.mistakes[-1].startswith("cast:"):
        return ()
    own = best.mistakes[: len(best.mistakes) - len(best.values.mistakes)]
    return tuple(Other((*own, *also, *of_type), best.levels, best.share) for also in best.values.also)


def _notes(levels: float | None) -> tuple[str, ...]:
    if levels is None or levels <= _SAME_LEVELS:
        return ()
    return (f"{levels:.1f} grey levels remain, as between two decoders of JPEG.",)


def _one_value(value: float) -> str:
    return (
        f"All its values are equal ({value:g}), so nothing can be told from it: an input that was never filled, or values "
        "of a small range that were cast to whole numbers. Dump it where the model is called, after it is filled."
    )


def _hopeless(nearest: tuple[Candidate, ...]) -> tuple[str, ...]:
    if nearest and nearest[0].share >= EXPLAINED_SHARE:
        return (_NEARLY,)
    return ("No usual mistake, nor two, gives this tensor from this picture: is it another picture's dump?",)
