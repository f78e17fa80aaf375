"""A group's values may be as near to the answer of when it was built, or to the source, as it then was; to one of the two."""

from __future__ import annotations

import numpy as np
import pytest

from edgesdk_targets.golden.golden_file import Limit
from edgesdk_targets.golden.output_sample import Mark, near_to, noise_db
from edgesdk_targets.tensor import Array

PICTURES, VALUES = 6, 400


def noise(seed: int, db: float) -> Array:
    """Return noise so far below a signal of one."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, 10 ** (-db / 20), (PICTURES, VALUES)).astype(np.float32)


SOURCE = np.random.default_rng(1).normal(0.0, 1.0, (PICTURES, VALUES)).astype(np.float32)
BUILT = SOURCE + noise(2, 25.0)
# What `golden_tolerance` makes of an artifact at 25 dB: 3 dB less to its own answer, 1 dB less to its source.
OWN, TO_SOURCE = Mark(BUILT, Limit(db=22.0, tiny=2e-3)), Mark(SOURCE, Limit(db=24.0, tiny=2e-3), " to its source")


def test_two_that_round_otherwise_are_farther_from_each_other_than_from_their_source() -> None:
    other = SOURCE + noise(3, 24.6)
    assert noise_db(BUILT, other).min() < OWN.limit.db < TO_SOURCE.limit.db < noise_db(SOURCE, other).min()
    _, _, far = near_to([OWN], other)
    assert far.any()
    margins, told, far = near_to([OWN, TO_SOURCE], other)
    assert not far.any()
    assert margins.min() > 0
    assert all(text.endswith("dB to its source; 24 are needed") for text in told)


@pytest.mark.parametrize(
    "got",
    [
        pytest.param(SOURCE + noise(3, 20.0), id="more noise"),
        pytest.param(SOURCE * np.float32(1.15), id="scaled"),
        pytest.param(-BUILT, id="turned round"),
        pytest.param(np.zeros_like(SOURCE), id="dead"),
        pytest.param(np.full_like(SOURCE, np.nan), id="no numbers"),
        pytest.param(SOURCE[::-1], id="another picture's"),
    ],
)
def test_what_is_near_to_neither_is_far_and_says_so_of_both(got: Array) -> None:
    margins, told, far = near_to([OWN, TO_SOURCE], got)
    assert far.all()
    assert (margins < 0).all()
    assert all("22 are needed, and" in text and "dB to its source; 24 are needed" in text for text in told)


def test_one_value_far_off_is_not_excused_by_the_others() -> None:
    got = SOURCE.copy()
    got[4, 7] += 10.0
    _, _, far = near_to([OWN, TO_SOURCE], got)
    assert far.tolist() == [False, False, False, False, True, False]


def test_the_answer_of_when_it_was_built_is_near() -> None:
    margins, told, far = near_to([OWN, TO_SOURCE], BUILT)
    assert not far.any()
    assert margins.min() > 100
    assert told[0] == "200.0 dB; 22 are needed"
