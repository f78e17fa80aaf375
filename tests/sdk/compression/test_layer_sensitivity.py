"""What each layer bears is measured, kept through a kill, and spread: a layer that matters keeps its rank and its numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from edgesdk.compression.cluster_by_layer import cluster_pass
from edgesdk.compression.factorise_by_layer import factorise_pass
from edgesdk.compression.model_size import deflated_bytes, stored_bytes, total_macs
from edgesdk.compression.page import _layers
from edgesdk.compression.pass_settings import Cluster, Factorise
from edgesdk.compression.spread import Choice, spread
from edgesdk.compression.subject import Subject
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk.report.page import Page
from edgesdk_testkit.nets_to_compress import subject

LAYERS = ("one.conv1", "one.conv2", "two.conv1", "two.conv2")
LOUD = "two.conv1"
Score = Callable[[Subject], float]


def sensitive_to(start: Subject, layer: str) -> Score:
    """A score that one layer decides alone: how near it answers to what it answered at the start."""
    given = torch.randn((1, 8, 6, 6), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = start.module.get_submodule(layer)(given)

    def score(made: Subject) -> float:
        with torch.no_grad():
            off = made.module.get_submodule(layer)(given) - expected
        return max(0.0, 1.0 - float(off.norm() / expected.norm()))

    return score


def deaf(_made: Subject) -> float:
    return 0.75


def bench(score: Score, folder: Path, evaluations: int = 256) -> tuple[Workbench, list[str]]:
    lines: list[str] = []
    return cast(
        "Workbench", SimpleNamespace(score=score, folder=folder, evaluations=evaluations, say=lines.append)
    ), lines


def factorised(score: Score, folder: Path, evaluations: int = 256, **asked: float) -> PassDone:
    settings = Factorise.model_validate({"pass": "factorise", "layers": LAYERS, **(asked or {"energy": 0.6})})
    return factorise_pass(settings, subject("residual"), bench(score, folder, evaluations)[0])


def clustered(score: Score, folder: Path, evaluations: int = 256) -> PassDone:
    settings = Cluster.model_validate({"pass": "cluster", "layers": LAYERS, "count": 4})
    return cluster_pass(settings, subject("residual"), bench(score, folder, evaluations)[0])


def rank_of(done: PassDone, layer: str) -> float:
    """A layer's rank; one that was not factorised has all of it."""
    record = cast("dict[str, Any]", done.record)
    return float(record["layers"][layer]["rank"]) if layer in record["layers"] else float("inf")


def test_a_layer_that_the_score_hangs_on_keeps_its_rank_and_the_model_grows_no_larger(tmp_path: Path) -> None:
    score = sensitive_to(subject("residual"), LOUD)
    alike = factorised(score, tmp_path / "alike", 0)
    done = factorised(score, tmp_path / "by layer")
    assert rank_of(done, LOUD) > rank_of(alike, LOUD)
    assert stored_bytes(done.subject) <= stored_bytes(alike.subject)
    assert score(done.subject) > score(alike.subject)
    assert done.record["survey"]["layers"][0]["layer"] == LOUD
    # The control: where the score hangs on another layer, this one gives way to it.
    other = factorised(sensitive_to(subject("residual"), "one.conv1"), tmp_path / "other")
    assert rank_of(other, LOUD) < rank_of(done, LOUD)
    assert rank_of(other, "one.conv1") > rank_of(done, "one.conv1")


@pytest.mark.parametrize(("figure", "count"), [("macs", total_macs), ("parameters", stored_bytes)])
def test_a_budget_is_kept_to_by_layer_too(figure: str, count: Callable[[Subject], int], tmp_path: Path) -> None:
    score = sensitive_to(subject("residual"), LOUD)
    alike = factorised(score, tmp_path / "alike", 0, **{figure: 0.6})
    done = factorised(score, tmp_path / "by layer", **{figure: 0.6})
    assert count(done.subject) <= count(alike.subject)
    assert score(done.subject) > score(alike.subject)


def test_a_layer_that_the_score_hangs_on_keeps_more_numbers_in_no_more_bytes(tmp_path: Path) -> None:
    score = sensitive_to(subject("residual"), LOUD)
    alike, done = clustered(score, tmp_path / "alike", 0), clustered(score, tmp_path / "by layer")
    assert done.record["count"][LOUD] == 16
    assert max(done.record["count"][name] for name in LAYERS if name != LOUD) < 16

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
    assert (done.record["survey"]["taken"], done.record["count"]) == ("alike", 4)


@pytest.mark.parametrize("run", [factorised, clustered])
def test_a_run_that_was_killed_measures_only_what_is_left(run: Callable[..., PassDone], tmp_path: Path) -> None:
    score = sensitive_to(subject("residual"), LOUD)
    asked = [0]

    def counted(made: Subject) -> float:
        asked[0] += 1
        return score(made)

    def killed(made: Subject) -> float:
        if asked[0] == 12:
            raise KeyboardInterrupt
        return counted(made)

    whole = run(counted, tmp_path / "whole")
    needed, asked[0] = asked[0], 0
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path / "killed")
    asked[0] = 0
    assert run(counted, tmp_path / "killed").record == whole.record
    assert asked[0] < needed - 4
    asked[0] = 0
    run(counted, tmp_path / "killed")
    # The model itself, all alike, and what came of it: no layer is measured twice.
    assert asked[0] == 3 < needed
    (tmp_path / "killed" / "sensitivity.json").write_text('{"one.conv1": {"amounts": 3}, "two.conv2": [')
    asked[0] = 0
    assert run(counted, tmp_path / "killed").record == whole.record
    assert asked[0] == needed


def test_scores_are_asked_for_as_often_as_is_allowed(tmp_path: Path) -> None:
    asked = [0]

    def score(_made: Subject) -> float:
        asked[0] += 1
        return 0.5

    done = clustered(score, tmp_path, 9)
    assert asked[0] == 2 * 4 + 3
    # Those with most to win; the others are as all would be.
    measured = {row["layer"] for row in done.record["survey"]["layers"]}
    assert measured == {"two.conv1", "two.conv2"}
    assert all(done.record["count"][name] == 4 for name in LAYERS if name not in measured)


def test_where_pictures_cannot_tell_the_nearer_weights_decide(tmp_path: Path) -> None:
    done = factorised(deaf, tmp_path)
    alike = factorised(deaf, tmp_path / "alike", 0)
    assert stored_bytes(done.subject) <= stored_bytes(alike.subject)
    rows = done.record["survey"]["layers"]
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


def test_the_report_shows_what_each_layer_bore(tmp_path: Path) -> None:
    done = factorised(sensitive_to(subject("residual"), LOUD), tmp_path)
    page = Page("Compression", "")
    _layers(page, "factorise", done.record["survey"], "top-1")
    html = page.html()
    assert LOUD in html
    assert "What each layer bears: factorise" in html
    assert "rank " in html
