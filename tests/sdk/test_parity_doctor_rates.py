"""How many mistakes the parity doctor names: every single one, many pairs, and nothing where there is nothing to name.

The application that makes them is written apart, with PIL; two grey levels of noise stand for another JPEG decoder.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from edgesdk.parity_doctor.diagnosis import Diagnosis
from edgesdk.parity_doctor.examine_input import examine_input
from edgesdk.parity_doctor.pixels import Picture
from edgesdk.parity_doctor.reading import Contract
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array
from edgesdk_testkit.careless_app import (
    FEEDS,
    Feed,
    Slip,
    careless,
    feed,
    pairs_of_mistakes,
    picture_file,
    single_mistakes,
)

PAIRS = 20
FILES = {seed: picture_file(seed) for seed in (3, 8)}
PICTURES = {seed: Picture.from_bytes(data, "drawn.jpg") for seed, data in FILES.items()}


def diagnose(right: Feed, dump: Array, seed: int = 3) -> Diagnosis:
    spec = Preprocess.model_validate(right.preprocess())
    return examine_input(dump, Contract("NCHW", "float32", right.size, spec.channels), spec, PICTURES[seed])


def named_right(right: Feed, slips: tuple[Slip, ...]) -> str:
    """Return what is wrong with the diagnosis, or nothing."""
    found = diagnose(right, feed(FILES[3], careless(right, *slips)))
    wanted = {slip.name for slip in slips}
    named = {m.name + (f":{m.found}" if m.found else "") for m in found.mistakes}
    # Two names of the very same tensor (no std, no /255) are one mistake.
    same = [set(o.mistakes) for o in found.also if o.grey_levels in {None, found.grey_levels}]
    return "" if wanted == named or wanted in same else f"{sorted(wanted)} was named {sorted(named)} ({found.verdict})"


def wrong_names(right: Feed, cases: list[tuple[Slip, ...]]) -> list[str]:
    return [wrong for slips in cases if (wrong := named_right(right, slips))]


@pytest.mark.parametrize("name", FEEDS)
def test_95_of_100_single_mistakes_are_named(name: str) -> None:
    cases = [(slip,) for slip in single_mistakes(FEEDS[name])]
    wrong = wrong_names(FEEDS[name], cases)
    assert len(cases) >= 25
    assert len(wrong) <= 0.05 * len(cases), wrong


@pytest.mark.parametrize("name", FEEDS)
def test_80_of_100_pairs_are_named(name: str) -> None:
    cases = list(islice(pairs_of_mistakes(FEEDS[name], FILES[3], seed=11), PAIRS))
    wrong = wrong_names(FEEDS[name], cases)
    assert len(wrong) <= 0.2 * PAIRS, wrong


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize("noise", [0, 1, 2])
def test_a_right_tensor_matches(name: str, noise: int) -> None:
    right = FEEDS[name]
    found = diagnose(right, feed(FILES[3], careless(right, Slip("", "", {"noise": noise}))))
    assert (found.verdict, found.mistakes) == ("matches", ())
    assert found.before_db is not None
    assert found.before_db > 30


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize("seed", range(2))
def test_noise_and_another_picture_are_not_explained(name: str, seed: int) -> None:
    right = FEEDS[name]
    shape = (1, len(right.mean), *right.size)
    random_values = np.random.default_rng(seed)
    smooth = np.cumsum(np.cumsum(random_values.normal(size=shape), axis=2), axis=3)
    for dump in (
        random_values.random(shape, np.float32),
        random_values.integers(0, 256, shape).astype(np.uint8),
        (smooth / np.abs(smooth).max()).astype(np.float32),
        feed(FILES[8], right),
        feed(picture_file(20 + seed), careless(right, next(single_mistakes(right)))),
    ):
        found = diagnose(right, dump)
        assert (found.verdict, found.mistakes) == ("not explained", ())
        assert found.nearest or "one value" in found.notes[0]
