"""Structured pruning: groups are found, a budget is met or said to be out of reach, and the result is built again from data."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from edgesdk.compression.channel_groups import ChannelGroups, find_groups
from edgesdk.compression.model_size import stored_bytes, total_macs
from edgesdk.compression.pass_settings import Prune
from edgesdk.compression.prune_channels import prune_channels, prune_pass
from edgesdk.compression.rebuilt import replay
from edgesdk.compression.sensitivity import sensitivities
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import Workbench
from edgesdk_targets.errors import InputError
from edgesdk_testkit.nets_to_compress import subject


@pytest.fixture(scope="module")
def found() -> ChannelGroups:
    return find_groups(subject("residual"))


def test_channels_that_can_only_go_together_are_one_group(found: ChannelGroups) -> None:
    groups = {group.name: set(group.layers) for group in found.groups}
    assert groups["one.conv1"] == {"one.conv1", "one.bn1", "one.conv2"}
    # The sum with the shortcut ties the stem to the block's end; the depthwise convolution has its channels of the next one.
    assert {"stem", "bn", "one.conv2", "one.bn2", "two.conv1", "two.shortcut"} <= groups["stem"]
    assert found.left == {"head": "its channels are the model's outputs"}


class Shuffled(nn.Module):
    """Every other channel goes past two layers, as in ShuffleNet."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
        self.inner, self.mix, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat((self.near(x), self.far(x)), 1)
        out: Tensor = self.head(torch.cat((both[:, 0::2], self.mix(self.inner(both[:, 1::2]))), 1))
        return out


def test_channels_that_the_tracer_loses_stay_and_the_others_may_go() -> None:
    found = find_groups(Subject(Shuffled().eval(), (torch.zeros(1, 3, 8, 8),)))
    assert [group.name for group in found.groups] == ["inner"]
    assert "torch-pruning loses which is which" in found.left["mix"]


@pytest.mark.parametrize("part", [0.7, 0.4])
def test_a_budget_is_kept_and_the_result_is_built_again_bit_for_bit(found: ChannelGroups, part: float) -> None:
    made, record = prune_channels(found, measure=total_macs, part=part, unit="MACs", multiple=1)
    assert 0.85 * part < total_macs(made) / total_macs(found.subject) <= part
    assert record["budget"]["after"] == total_macs(made)
    module = found.subject.copy()
    replay(module, made.changes)
    module.load_state_dict(made.module.state_dict())
    with torch.no_grad():
        assert torch.equal(module(*made.example), made.run()[0])


@pytest.mark.parametrize(("field", "measure"), [("max_macs", total_macs), ("max_bytes", stored_bytes)])
def test_a_budget_in_numbers_is_kept(field: str, measure: Callable[[Subject], int]) -> None:
    start = subject("residual")
    bench = cast("Workbench", SimpleNamespace(sensitivity=lambda *_: (), kept=None))
    for part in (0.6, 1.0):
        limit = int(part * measure(start))
        settings = Prune.model_validate({"pass": "prune", field: limit, "multiple": 1})
        done = prune_pass(settings, start, bench)
        assert 0.8 * limit < measure(done.subject) <= limit
        assert done.record["budget"]["limit"] == limit
    assert done.subject.changes == start.changes, "what keeps to the budget already stays whole"
    settings = Prune.model_validate({"pass": "prune", field: 10})
    with pytest.raises(InputError, match=r"cannot be met: 10 .* is the least"):
        prune_pass(settings, start, bench)


def test_the_channels_that_stay_are_those_of_the_largest_norm(found: ChannelGroups) -> None:
    group = next(group for group in found.groups if group.name == "one.conv1")
    made = found.pruned({"one.conv1": 3})
    kept = sorted(group.order[3:])
    before = found.subject.module.get_parameter("one.bn1.weight")
    assert torch.equal(made.module.get_parameter("one.bn1.weight"), before[kept])


def test_channels_stay_in_multiples(found: ChannelGroups) -> None:
    _, record = prune_channels(found, measure=total_macs, part=0.6, unit="MACs", multiple=4)
    assert all(group["after"] % 4 == 0 for group in record["groups"].values())


def test_a_budget_out_of_reach_says_how_close_it_came_and_what_stood_in_the_way(found: ChannelGroups) -> None:
    with pytest.raises(InputError) as refused:
        prune_channels(found, measure=total_macs, part=0.001, unit="MACs", multiple=4)
    said = refused.value.message
    assert "0.1%" in said
    assert "is the least" in said
    assert "head: its channels are the model's outputs" in said


def test_the_group_that_bears_least_gives_way_last(found: ChannelGroups) -> None:
    bears = {group.name: 0.1 if group.name == "two.conv1" else 1.0 for group in found.groups}
    _, alike = prune_channels(found, measure=total_macs, part=0.6, unit="MACs", multiple=1)
    _, guided = prune_channels(found, measure=total_macs, part=0.6, unit="MACs", multiple=1, tolerance=bears)
    assert guided["groups"]["two.conv1"]["after"] > alike["groups"]["two.conv1"]["after"]


def test_a_time_that_was_met_by_luck_is_measured_again_and_more_is_taken(found: ChannelGroups) -> None:
    seen: list[Subject] = []
    lucky: list[Subject] = []

    def measure(tried: Subject) -> float:
        first = not any(tried is one for one in seen)
        seen.append(tried)
        macs = total_macs(tried)
        if first and 0.5 * whole < macs < whole:
            lucky.append(tried)
            return 0.4 * whole
        return float(macs)

    whole = total_macs(found.subject)
    made, record = prune_channels(found, measure=measure, part=0.5, unit="ms", multiple=1, halvings=3, timed=True)
    assert lucky
    assert total_macs(made) <= 0.5 * whole
    assert record["budget"]["after"] == total_macs(made)


@pytest.mark.parametrize(
    ("times", "least"), [((1.0, 1.0, 1.01), 1.0), ((1.0, 1.01, 1.01), 0.7)], ids=["met-once-more", "missed-by-little"]
)
def test_a_model_at_its_limit_of_time_loses_nothing_or_little(
    found: ChannelGroups, times: tuple[float, ...], least: float
) -> None:
    """A hundredth of noise is no reason to take half of all that may go."""
    left = iter(times)

    def measure(tried: Subject) -> float:
        part = total_macs(tried) / whole
        return next(left, 1.01) if part == 1.0 else part

    whole = total_macs(found.subject)
    made, _ = prune_channels(found, measure=measure, limit=1.0, unit="ms", multiple=1, timed=True)
    assert least * whole <= total_macs(made)
    assert (made is found.subject) == (least == 1.0)


def test_a_time_that_is_never_met_again_is_refused(found: ChannelGroups) -> None:
    seen: list[Subject] = []

    def measure(tried: Subject) -> float:
        again = any(tried is one for one in seen)
        seen.append(tried)
        return 2.0 if again or tried is found.subject else 0.5

    with pytest.raises(InputError, match="not when it was measured again"):
        prune_channels(found, measure=measure, part=0.5, unit="ms", halvings=1, timed=True)


def test_sensitivities_are_those_of_each_group_alone(found: ChannelGroups) -> None:
    def score(tried: Subject) -> float:
        return 0.2 if tried.module.get_parameter("one.conv1.weight").shape[0] < 8 else 1.0

    rows = sensitivities(found, score, (0.5,), lambda _line: None)
    assert rows[0].name == "one.conv1"
    assert [row.tolerance for row in rows] == [0.2, 1.0, 1.0, 1.0]


def test_what_the_recipe_skips_stays_whole() -> None:
    found = find_groups(subject("residual"), skip=("two.*",))
    assert {group.name for group in found.groups} == {"one.conv1"}
    assert found.left["two.conv1"] == "two.conv1 is left out by the recipe"


def test_before_a_recurrent_layer_channels_go_from_its_input() -> None:
    start = subject("reader")
    made = find_groups(start).pruned({"columns": 8})
    module = start.copy()
    replay(module, made.changes)
    module.load_state_dict(made.module.state_dict())
    with torch.no_grad():
        assert torch.equal(module(*made.example), made.run()[0])
    assert made.module.get_submodule("rnn").input_size == 16


def test_a_model_that_cannot_be_traced_names_the_layer() -> None:
    with pytest.raises(InputError, match="middle"):
        find_groups(subject("untraceable"))
