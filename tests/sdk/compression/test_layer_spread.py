"""A budget is spread by what each layer bears: one that matters keeps its rank and its numbers, up to what was asked for."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import torch

from edgesdk.compression.factorise import COUNTS
from edgesdk.compression.model_size import deflated_bytes, stored_bytes
from edgesdk.compression.spread import Choice, spread
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone
from edgesdk_testkit.measured_layers import LAYERS, LOUD, clustered, deaf, factorised, rank_of, sensitive_to
from edgesdk_testkit.nets_to_compress import subject

Figure = Literal["macs", "parameters"]


def test_a_layer_that_the_score_hangs_on_keeps_its_rank_and_the_model_grows_no_larger(tmp_path: Path) -> None:
    score = sensitive_to(subject("residual"), LOUD)
    alike = factorised(score, tmp_path / "alike", 0)
    done = factorised(score, tmp_path / "by layer")
    assert rank_of(done, LOUD) > rank_of(alike, LOUD)
    assert stored_bytes(done.subject) <= stored_bytes(alike.subject)
    assert score(done.subject) > score(alike.subject)
    assert done.record["layer_sensitivity"]["layers"][0]["layer"] == LOUD
    # The control: where the score hangs on another layer, this one gives way to it.
    other = factorised(sensitive_to(subject("residual"), "one.conv1"), tmp_path / "other")
    assert rank_of(other, LOUD) < rank_of(done, LOUD)
    assert rank_of(other, "one.conv1") > rank_of(done, "one.conv1")


@pytest.mark.parametrize("figure", ["macs", "parameters"])
def test_a_budget_is_kept_to_by_layer_too(figure: Figure, tmp_path: Path) -> None:
    count = COUNTS[figure]
    score = sensitive_to(subject("residual"), LOUD)
    alike = factorised(score, tmp_path / "alike", 0, **{figure: 0.6})
    done = factorised(score, tmp_path / "by layer", **{figure: 0.6})
    assert count(done.subject) <= 0.6 * count(subject("residual"))
    assert score(done.subject) > score(alike.subject)


def alike_by_leaps() -> Subject:
    """A model whose layers have singular values of one size each: one energy for all takes a rank of each at once."""
    start = subject("residual")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for name in LAYERS:
            weight = cast("Any", start.module.get_submodule(name)).weight
            weight.zero_()
            weight[:, :, 1, 1] = torch.nn.init.orthogonal_(torch.empty(weight.shape[:2]))
    return start


@pytest.mark.parametrize("figure", ["macs", "parameters"])
def test_what_all_layers_alike_leave_of_a_budget_is_given_back(figure: Figure, tmp_path: Path) -> None:
    count, start = COUNTS[figure], alike_by_leaps()
    score, whole = sensitive_to(start, LOUD), count(start)
    # A trifle less than half of the energy and a rank: no energy for all comes near to it.
    most = count(factorised(score, tmp_path / "more", 0, start, energy=0.51).subject) - 1
    alike, done = (factorised(score, tmp_path / str(n), n, start, **{figure: most / whole}) for n in (0, 256))
    assert count(alike.subject) < 0.9 * most
    assert count(alike.subject) < count(done.subject) <= most
    assert score(done.subject) > score(alike.subject)
    # The control: asked for an energy there is nothing to give back.
    same = factorised(score, tmp_path / "energy", 256, start, energy=0.5)
    assert stored_bytes(same.subject) <= stored_bytes(alike.subject)


def test_a_layer_that_the_score_hangs_on_keeps_more_numbers_in_no_more_bytes(tmp_path: Path) -> None:
    score = sensitive_to(subject("residual"), LOUD)
    alike, done = clustered(score, tmp_path / "alike", 0), clustered(score, tmp_path / "by layer")
    assert done.record["count"] == alike.record["count"] == 4
    assert done.record["counts"][LOUD] == 16
    assert max(done.record["counts"][name] for name in LAYERS if name != LOUD) < 16

    def deflated(made: PassDone) -> int:
        return sum(deflated_bytes([made.subject.module.get_submodule(name).weight]) for name in LAYERS)  # type: ignore[list-item]

    assert deflated(done) <= deflated(alike)
    assert len(torch.unique(cast("Any", done.subject.module.get_submodule(LOUD)).weight)) > 4
    assert score(done.subject) > score(alike.subject)


def test_what_scores_worse_by_layer_than_alike_is_not_taken(tmp_path: Path) -> None:
    """Losses of single layers need not add up; here together they are worse than the sum."""
    start = subject("residual")

    def score(made: Subject) -> float:
        changed = {change.layer: change for change in made.changes}
        alone = len(changed) < 2
        usual = all(getattr(change, "count", 4) == 4 for change in changed.values())
        return sensitive_to(start, LOUD)(made) if alone else float(usual)

    done = clustered(score, tmp_path)
    assert (done.record["layer_sensitivity"]["taken"], done.record["count"], "counts" in done.record) == (
        "alike",
        4,
        False,
    )


def test_where_pictures_cannot_tell_the_nearer_weights_decide(tmp_path: Path) -> None:
    done = factorised(deaf, tmp_path)
    alike = factorised(deaf, tmp_path / "alike", 0)
    assert stored_bytes(done.subject) <= stored_bytes(alike.subject)
    rows = done.record["layer_sensitivity"]["layers"]
    assert sum(row["amounts"][row["taken"]] for row in rows) < sum(row["amounts"][row["alike"]] for row in rows)


def test_the_spread_is_the_best_one_where_losses_add_up() -> None:
    ways = {
        name: [Choice(size, loud * lost, lost) for size, lost in ((1, 0.4), (2, 0.2), (3, 0.1), (4, 0.05))]
        for name, loud in (("quiet", 0.1), ("usual", 1.0), ("loud", 5.0))
    }
    taken = spread(ways, 8)

    def total(places: tuple[int, ...]) -> tuple[float, float]:
        chosen = [ways[name][place] for name, place in zip(ways, places, strict=True)]
        return sum(one.size for one in chosen), sum(one.lost for one in chosen)

    best = min(total(each)[1] for each in itertools.product(range(4), repeat=3) if total(each)[0] <= 8)
    assert total(tuple(taken.values())) == (8, pytest.approx(best))
    assert taken["quiet"] < taken["usual"] < taken["loud"]


def test_a_smaller_way_that_was_lucky_does_not_pass_for_a_better_one() -> None:
    lucky = [Choice(1, 0.0, 0.4), Choice(2, 0.3, 0.2), Choice(3, 0.0, 0.1)]
    assert spread({"one": lucky, "two": [Choice(1, 0.1, 0.4), Choice(3, 0.0, 0.1)]}, 4)["one"] == 2
