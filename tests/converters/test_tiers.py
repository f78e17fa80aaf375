from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest

from edgesdk_converters.int8.attempts import helped
from edgesdk_converters.int8.tiers import PLAIN, TUNED, tiers

LAYERS = [f"layer{number}" for number in range(40)]


def never() -> Sequence[str]:
    raise AssertionError("asked for though nothing needed it")


def given(names: Sequence[str]) -> Callable[[], Sequence[str]]:
    return lambda: names


def test_the_first_tier_needs_nothing_measured() -> None:
    first = next(tiers(kept=(), head=never, ranking=never))
    assert (first.name, first.keep_float, first.mixed) == ("plain", (), False)


def test_each_tier_keeps_more_in_float_than_the_one_before() -> None:
    found = list(tiers(kept=(), head=given(["layer39"]), ranking=given(LAYERS)))
    assert [tier.name.partition(" ")[0] for tier in found] == ["plain", "head", *["the"] * 4]
    for before, after in itertools.pairwise(found):
        assert set(before.keep_float) < set(after.keep_float)
    assert found[2].keep_float == ("layer39", "layer0")
    assert found[3].keep_float == ("layer39", "layer0", "layer1", "layer2", "layer3")
    assert all(tier.mixed for tier in found[1:])


def test_layers_with_few_products_join_the_costliest_eight() -> None:
    light = ["layer1", "layer3", "layer39"]
    found = list(tiers(kept=(), head=given(["layer39"]), ranking=given(LAYERS), light=given(light)))
    assert [tier.keep_float for tier in found[2:4]] == [
        ("layer39", "layer0"),
        ("layer39", "layer0", "layer1", "layer2", "layer3"),
    ]
    assert found[4].name == "the 8 costliest layers and the depthwise ones in float"
    ranked = tuple(f"layer{number}" for number in (0, 2, 4, 5, 6, 7, 8, 9))
    assert found[4].keep_float == ("layer39", "layer1", "layer3", *ranked)


def test_they_do_not_count_as_what_makes_a_model_mostly_float() -> None:
    light = LAYERS[20:]
    found = list(tiers(kept=(), head=given(()), ranking=given(LAYERS), light=given(light)))
    assert [len(tier.keep_float) for tier in found[1:]] == [1, 4, 28], "half of the twenty others, not more"


def test_the_search_is_given_up_before_the_model_is_mostly_float() -> None:
    found = list(tiers(kept=(), head=given(()), ranking=given(LAYERS[:5])))
    assert max(len(tier.keep_float) for tier in found) == 1


def test_mixed_begins_with_the_head_in_float() -> None:
    found = next(tiers(kept=(), head=given(["layer39"]), ranking=never, mixed_only=True))
    assert found.keep_float == ("layer39",)


def test_without_a_head_the_costliest_layers_alone_are_kept() -> None:
    """A classifier's last layer may be a third of its size: it is kept in float only where it is what costs."""
    found = list(tiers(kept=(), head=given(()), ranking=given(LAYERS)))
    assert [len(tier.keep_float) for tier in found] == [0, 1, 4, 8, 16]
    assert next(tiers(kept=(), head=given(()), ranking=given(LAYERS), mixed_only=True)).keep_float == ("layer0",)


@pytest.mark.parametrize("kept", [("layer3",), ("layer3", "layer7")])
def test_what_the_user_keeps_stays_kept(kept: tuple[str, ...]) -> None:
    for tier in tiers(kept=kept, head=given(["layer39"]), ranking=given(LAYERS)):
        assert set(kept) <= set(tier.keep_float)
        assert tier.mixed


def test_the_last_resort_comes_last_however_short_the_ranking_is() -> None:
    found = list(tiers(kept=(), head=given(["layer0"]), ranking=given(LAYERS[:1]), last_resort="another way"))
    assert [tier.name for tier in found] == ["plain", "head in float", "another way"]
    assert [tier.last_resort for tier in found] == [False, False, True]


def test_tuned_weights_come_before_anything_is_kept_in_float() -> None:
    """And where there are none, or tuning is off, nothing of it is tried."""
    found = list(tiers(kept=(), head=given(()), ranking=given(LAYERS), tuning=lambda: True, last_resort="other"))
    assert [tier.name for tier in found[:2]] == ["plain", "tuned weights"]
    assert [(tier.tuned, tier.mixed) for tier in found[:3]] == [(False, False), (True, False), (True, True)]
    assert not found[-1].tuned
    assert not any(tier.tuned for tier in tiers(kept=(), head=given(()), ranking=given(LAYERS)))
    (first, *_) = tiers(kept=(), head=given(()), ranking=given(LAYERS), tuning=lambda: True, mixed_only=True)
    assert first.keep_float


def test_tuned_weights_that_did_worse_than_plain_are_not_used_again() -> None:
    found = list(tiers(kept=(), head=given(()), ranking=given(LAYERS), tuning=lambda: True, tuning_helps=lambda: False))
    assert [tier.tuned for tier in found[:4]] == [False, True, False, False]


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        pytest.param({PLAIN: 0.06, TUNED: 0.05}, True, id="closer"),
        pytest.param({PLAIN: 0.05, TUNED: 0.06}, False, id="farther"),
        pytest.param({PLAIN: math.inf, TUNED: math.inf}, False, id="neither was built"),
        pytest.param({PLAIN: 0.06, TUNED: math.inf}, False, id="not built"),
        pytest.param({PLAIN: 0.06}, True, id="parity alone refused it"),
        pytest.param({}, True, id="not tried: mixed was asked for"),
    ],
)
def test_later_tries_have_tuned_weights_where_those_did_no_worse(beyond: dict[str, float], expected: bool) -> None:
    assert helped(beyond) is expected
