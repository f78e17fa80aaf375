"""Search for the smallest change of the bundle's preprocessing that gives what an application fed.

Complete for two mistakes (and for a third where it costs no further resize), beside those that the dump's shape and
type prove by themselves. A candidate with fewer mistakes wins unless one with more leaves clearly less unexplained:
decoders of JPEG differ by a grey level or two, so an exact zero is not to be hoped for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesdk.parity_doctor.fit import FreeFit, Moments, Sample, moments, planes_of
from edgesdk.parity_doctor.lattice import PLANES, Colour, Pad, colours, frames, pads
from edgesdk.parity_doctor.pixels import Frame, Picture
from edgesdk.parity_doctor.reading import Reading
from edgesdk.parity_doctor.resample import KERNELS
from edgesdk.parity_doctor.values import Values, ways
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array

PAIR = 2
_MOST = 3
_SAMPLE = 40_000
_SEED = 7
# Of the variance, by any scaling: less, and the picture is cut or placed otherwise.
_HOPEFUL_SHARE = 0.25
# Grey levels (root mean square) that do not matter: half a step of rounding.
_SAME = 0.35
# More than this (grey levels, root mean square) is no difference of JPEG decoders.
EXPLAINED_LEVELS = 3.0
# And the rest must be small beside the picture's own contrast.
EXPLAINED_SHARE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One way in which the dump may have been made.

    Attributes:
        mistakes: none for the right way.
        residual: what it leaves unexplained, a mean square in the sample's unit, to compare candidates by.
        share: of the dump's variance that it explains.
        unit: of the sample, by channel: the dump's units for one grey level.
    """

    reading: Reading
    frame: Frame
    colour: Colour
    values: Values
    pad: Pad
    mistakes: tuple[str, ...]
    residual: float
    share: float
    unit: Array

    @property
    def levels(self) -> float:
        """What it leaves unexplained by its own scale, in grey levels (root mean square)."""
        return math.sqrt(self.residual) * float(np.mean(self.unit * np.abs(self.values.std)))

    @property
    def explains(self) -> bool:
        return self.levels <= EXPLAINED_LEVELS and self.share >= EXPLAINED_SHARE


@dataclass(frozen=True, slots=True)
class Found:
    """What the search says.

    Attributes:
        best: the smallest change, None where nothing explains the dump.
        nearest: others, best first: as good with as many mistakes, or the nearest where nothing explains it.
    """

    best: Candidate | None
    nearest: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class _Scaling:
    ways: list[Values]
    mean: Array
    std: Array
    of_cost: list[Array]


def search(given: Sequence[Reading], spec: Preprocess, picture: Picture) -> Found:
    """Search all readings of a dump.

    Args:
        given: as `reading.readings` made them.
        spec: what the model takes.
        picture: what the application was given.
    """
    candidates: list[Candidate] = []
    fits: list[Candidate] = []
    for reading in given:
        lattice, free = _search_reading(reading, spec, picture)
        candidates += lattice
        fits += free
    return _choose(candidates, fits)


def _search_reading(reading: Reading, spec: Preprocess, picture: Picture) -> tuple[list[Candidate], list[Candidate]]:
    sample = _sample(reading, spec, picture)
    scaling = _scaling(spec, reading.values.shape[2])
    total = float((sample.values.var(axis=1) / sample.unit**2).mean()) or 1e-12
    candidates: list[Candidate] = []
    fits: list[Candidate] = []
    for frame, of_frame, sums in _measured(reading, spec, picture, sample, total):
        base = (*reading.mistakes, *of_frame)
        room = _MOST + reading.visible - len(base)
        for colour in colours(spec, reading.values.shape[2]):
            for pad in pads(spec, frame):
                own = (*base, *colour.mistakes, *pad.mistakes)
                for at, residual in _best_by_cost(sums, colour, pad, scaling, room - len(own) + len(base)):
                    values = scaling.ways[at]
                    mistakes = (*own, *values.mistakes)
                    share = 1 - residual / total
                    candidates.append(
                        Candidate(reading, frame, colour, values, pad, mistakes, residual, share, sample.unit)
                    )
        if len(base) < PAIR + reading.visible:
            fits.append(_free(reading, frame, spec, base, sums.free_fit(), total, sample))
    return candidates, fits


def _measured(
    reading: Reading, spec: Preprocess, picture: Picture, sample: Sample, total: float
) -> Iterator[tuple[Frame, tuple[str, ...], Moments]]:
    """Yield the frames with few enough mistakes and different pixels, each with its moments."""
    seen: set[bytes] = set()
    hopeful: dict[Frame, bool] = {}
    left = PAIR - (len(reading.mistakes) - reading.visible)
    for frame, mistakes in frames(spec, reading.size, left, exif=picture.stored is not None):
        if frame.interpolation in KERNELS:
            # The slow filters are tried only where a quick one shows that the picture lies in the right place.
            quick = replace(frame, interpolation="area")
            if quick not in hopeful:
                probe = picture.pixels(quick)
                left_over = moments(probe, sample).free_fit().residual if probe is not None else total
                hopeful[quick] = left_over < (1 - _HOPEFUL_SHARE) * total
            if not hopeful[quick]:
                continue
        pixels = picture.pixels(frame)
        if pixels is None:
            continue
        # Ways that make the same pixels (no reduction, no border) are one: the first has the fewest mistakes.
        key = pixels.values.tobytes() + bytes(str(pixels.window), "ascii")
        if key not in seen:
            seen.add(key)
            yield frame, mistakes, moments(pixels, sample)


def _best_by_cost(sums: Moments, colour: Colour, pad: Pad, scaling: _Scaling, room: int) -> Iterator[tuple[int, float]]:
    """Yield the best scaling (index, residual) of each number of mistakes that is left."""
    if room < 0:
        return
    residuals = sums.residual(colour, pad, scaling.mean, scaling.std)
    for of_cost in scaling.of_cost[: room + 1]:
        if len(of_cost):
            at = int(of_cost[residuals[of_cost].argmin()])
            yield at, float(residuals[at])


def _sample(reading: Reading, spec: Preprocess, picture: Picture) -> Sample:
    flat = reading.values.reshape(-1, reading.values.shape[2])
    at = np.arange(len(flat))
    if len(flat) > _SAMPLE:
        at = np.sort(np.random.default_rng(_SEED).choice(len(flat), _SAMPLE, replace=False))
    values = np.ascontiguousarray(flat[at].T)
    right = picture.pixels(Frame(True, "stretch", 1.0, spec.size, "linear"))
    assert right is not None  # noqa: S101  (a stretch is always possible)
    contrast = planes_of(right.values.reshape(-1, 3)[:: max(1, len(flat) // _SAMPLE)]).std(axis=1)[
        list(colours(spec, flat.shape[1])[0].planes)
    ]
    spread = values.std(axis=1)
    # A channel without content has no unit of its own.
    unit = np.where(spread > 0, spread, spread.max()) / np.maximum(contrast, 1e-6)
    return Sample(at, values, np.maximum(unit, 1e-30))


def _scaling(spec: Preprocess, channels: int) -> _Scaling:
    mean, std = spec.mean, spec.std
    if len(mean) != channels:  # grey for colour, or colour for grey
        mean, std = ((sum(v) / len(v),) * channels for v in (mean, std))
    found = ways(tuple(mean), tuple(std))
    costs = np.array([len(way.mistakes) for way in found])
    of_cost = [np.flatnonzero(costs == cost) for cost in range(PAIR + 1)]
    return _Scaling(found, np.array([w.mean for w in found]), np.array([w.std for w in found]), of_cost)


def _free(
    reading: Reading,
    frame: Frame,
    spec: Preprocess,
    base: tuple[str, ...],
    fit: FreeFit,
    total: float,
    sample: Sample,
) -> Candidate:
    known = next((c for c in colours(spec, len(fit.planes)) if c.planes == fit.planes), None)
    colour = known or Colour(fit.planes, (f"channels_other:{_named(fit.planes)}",))
    measured = f"mean {_numbers(fit.mean)}, std {_numbers(fit.std)}"
    values = Values(fit.mean, fit.std, (f"normalisation_other:{measured}",))
    mistakes = (*base, *colour.mistakes, *values.mistakes)
    share = 1 - fit.residual / total
    return Candidate(reading, frame, colour, values, Pad(spec.pad, ()), mistakes, fit.residual, share, sample.unit)


def _choose(candidates: list[Candidate], fits: list[Candidate]) -> Found:
    best = _smallest(candidates)
    fit = _smallest(fits)
    usual = best is not None and best.explains
    if fit is not None and fit.explains and np.isfinite((*fit.values.mean, *fit.values.std)).all():
        # Constants of its own explain a dump only where no usual ones come near.
        usual = best is not None and best.explains and best.residual <= 1.5 * fit.residual + 1.0
        if not usual:
            return Found(fit, ())
    if best is None or not usual:
        return Found(None, tuple(_nearest(candidates, 3)))
    as_good = [c for c in candidates if len(c.mistakes) == len(best.mistakes) and _as_good(c, best)]
    return Found(best, tuple(c for c in _nearest(as_good, 4) if c.mistakes != best.mistakes)[:3])


def _smallest(candidates: list[Candidate]) -> Candidate | None:
    """Return the candidate with the fewest mistakes among those that leave hardly more than the best one."""
    if not candidates:
        return None
    least = min(candidates, key=lambda c: c.residual)
    good = [c for c in candidates if _as_good(c, least)]
    return min(good, key=lambda c: (len(c.mistakes), c.residual))


def _as_good(candidate: Candidate, least: Candidate) -> bool:
    """Say whether a candidate leaves hardly more unexplained than the one that leaves least."""
    height, width, channels = candidate.reading.values.shape
    count = min(height * width, _SAMPLE)
    if candidate.frame == least.frame and candidate.colour == least.colour and candidate.pad == least.pad:
        # The same pixels: a decoder's noise is common to both, and any difference is one of scale.
        return bool(candidate.residual <= least.residual * (1 + 20 / (count * channels)) + _SAME**2)
    return bool(candidate.residual <= least.residual * (1.05 + 6 / math.sqrt(count)) + _SAME**2)


def _nearest(candidates: list[Candidate], count: int) -> list[Candidate]:
    """Return the best candidates of different mistakes."""
    found: dict[tuple[str, ...], Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: (c.residual, len(c.mistakes))):
        key = tuple(sorted(candidate.mistakes))
        found.setdefault(key, candidate)
        if len(found) == count:
            break
    return list(found.values())


def _named(planes: tuple[int, ...]) -> str:
    return ", ".join(PLANES[p] for p in planes)


def _numbers(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{v:.4g}" for v in values) + "]"
