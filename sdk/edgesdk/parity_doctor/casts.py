"""Normalised values that were cast to whole numbers: no fit finds them, so each way is made and compared.

Complete for a cast together with one other mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, product

import numpy as np

from edgesdk.parity_doctor.lattice import colours, frames, pads
from edgesdk.parity_doctor.pixels import Picture
from edgesdk.parity_doctor.predict import predicted_by
from edgesdk.parity_doctor.reading import Reading
from edgesdk.parity_doctor.search import Candidate
from edgesdk.parity_doctor.values import ways
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array

# Share of equal elements; the rest is a decoder's difference at a step.
_ALIKE = 0.9
_AS_GOOD = 0.02

_CASTS: dict[str, Callable[[Array], Array]] = {
    "uint8": lambda x: np.trunc(x).astype(np.int64) & 255,
    "uint8 (rounded and clipped)": lambda x: np.clip(np.rint(x), 0, 255),
    "int8": lambda x: ((np.trunc(x).astype(np.int64) + 128) & 255) - 128,
    "whole numbers": np.trunc,
}


def search_casts(given: Sequence[Reading], spec: Preprocess, picture: Picture) -> Candidate | None:
    """Return the smallest change with a cast that gives the dump, if there is one."""
    if not np.array_equal(given[0].values, np.rint(given[0].values)):
        return None
    plain = chain.from_iterable(_plain(reading, spec, picture) for reading in given)
    found = [item for candidate in plain for item in _alike(candidate, picture)]
    if not found:
        return None
    best = max(alike for alike, _ in found)
    return min((c for alike, c in found if alike >= best - _AS_GOOD), key=lambda c: (len(c.mistakes), -c.share))


def cast_as(mistakes: Sequence[str], exact: Array) -> Array:
    """Return a tensor as the cast among the mistakes leaves it; as it is where there is none."""
    for mistake in mistakes:
        name, _, how = mistake.partition(":")
        if name == "cast":
            return _CASTS[how](exact)
    return exact


def _plain(reading: Reading, spec: Preprocess, picture: Picture) -> Iterator[Candidate]:
    """Yield the ways with at most one mistake beside what the shape proves, before any cast."""
    room = 1 - (len(reading.mistakes) - reading.visible)
    channels = reading.values.shape[2]
    mean, std = (v if len(v) == channels else (sum(v) / len(v),) * channels for v in (spec.mean, spec.std))
    scalings = ways(mean, std, max(room, 0))
    for frame, of_frame in frames(spec, reading.size, room, exif=picture.stored is not None):
        if picture.pixels(frame) is None:
            continue
        for colour, pad, scaling in product(colours(spec, channels), pads(spec, frame), scalings):
            mistakes = (*of_frame, *colour.mistakes, *pad.mistakes, *scaling.mistakes)
            if len(mistakes) <= room:
                yield Candidate(reading, frame, colour, scaling, pad, mistakes, 0.0, 1.0, np.ones(channels))


def _alike(plain: Candidate, picture: Picture) -> Iterator[tuple[float, Candidate]]:
    exact = predicted_by(plain, picture)
    for name, cast in _CASTS.items():
        alike = float(np.mean(cast(exact) == plain.reading.values))
        if alike >= _ALIKE:
            mistakes = (*plain.reading.mistakes, *plain.mistakes, f"cast:{name}")
            yield alike, replace(plain, mistakes=mistakes, share=alike)
