"""What each layer bears is measured, kept through a kill, and spread: a layer that matters keeps its rank and its numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from edgesdk.compression.changes import Clustered
from edgesdk.compression.cluster_by_layer import cluster_pass
from edgesdk.compression.factorise_by_layer import factorise_pass
from edgesdk.compression.kept_scores import KeptScores
from edgesdk.compression.model_size import deflated_bytes, stored_bytes, total_macs
from edgesdk.compression.page import _layers
from edgesdk.compression.pass_settings import Cluster, Factorise
from edgesdk.compression.spread import Choice, spread
from edgesdk.compression.subject import Subject
from edgesdk.compression.tie_layers import tie_layers
from edgesdk.compression.workbench import PassDone, Workbench
from edgesdk.report.page import Page
from edgesdk_testkit.nets_to_compress import subject

LAYERS = ("one.conv1", "one.conv2", "two.conv1", "two.conv2")
LOUD = "two.conv1"
CLUSTER = Cluster.model_validate({"pass": "cluster", "layers": LAYERS, "count": 4})
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
    kept = KeptScores(folder / "sensitivity.json", "of this model")
    given = SimpleNamespace(score=score, kept=kept, evaluations=evaluations, pictures=20, say=lines.append)
    return cast("Workbench", given), lines


def factorised(score: Score, folder: Path, evaluations: int = 256, **asked: float) -> PassDone:
    settings = Factorise.model_validate({"pass": "factorise", "layers": LAYERS, **(asked or {"energy": 0.6})})
    return factorise_pass(settings, subject("residual"), bench(score, folder, evaluations)[0])


def clustered(score: Score, folder: Path, evaluations: int = 256) -> PassDone:
    return cluster_pass(CLUSTER, subject("residual"), bench(score, folder, evaluations)[0])


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
    assert done.record["layer_sensitivity"]["layers"][0]["layer"] == LOUD
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
    file = tmp_path / "killed" / "sensitivity.json"
    file.write_text(file.read_text()[:-20])
    asked[0] = 0
    assert run(counted, tmp_path / "killed").record == whole.record
    assert asked[0] == needed


def test_scores_are_asked_for_as_often_as_is_allowed(tmp_path: Path) -> None:
    asked = [0]

    def score(_made: Subject) -> float:
        asked[0] += 1
        return 0.5

    done = clustered(score, tmp_path / "eleven", 11)
    # Four of each of two layers, and three of whole models.
    assert asked[0] == 11
    # The largest; the others are as all would be.
    measured = {row["layer"] for row in done.record["layer_sensitivity"]["layers"]}
    assert measured == {"two.conv1", "two.conv2"}
    assert all(done.record["counts"][name] == 4 for name in LAYERS if name not in measured)
    asked[0] = 0
    clustered(score, tmp_path / "ten", 10)
    assert asked[0] == 7
    asked[0] = 0
    assert "layer_sensitivity" not in clustered(score, tmp_path / "six", 6).record
    assert asked[0] == 0


def test_before_the_scores_a_line_says_how_many_and_how_long(tmp_path: Path) -> None:
    for left in (6, 2):
        given, lines = bench(deaf, tmp_path, 9)
        cluster_pass(CLUSTER, subject("residual"), given)
        # Once more: those that were kept are not asked for again.
        assert lines[0].startswith(f"sensitivity: {left} scores of 20 pictures, about ")


def test_layers_that_share_a_weight_are_one_and_its_bytes_count_once(tmp_path: Path) -> None:
    tied, _ = tie_layers(subject("residual"), [["one.conv1", "one.conv2"]])
    score = sensitive_to(tied, "one.conv2")
    alike, done = (cluster_pass(CLUSTER, tied, bench(score, tmp_path / str(count), count)[0]) for count in (0, 256))
    rows = {row["layer"]: row for row in done.record["layer_sensitivity"]["layers"]}
    assert rows.keys() == {"one.conv1, one.conv2", "two.conv1", "two.conv2"}
    counts = done.record["counts"]
    assert counts["one.conv1"] == counts["one.conv2"] > 4
    weights = [cast("Any", done.subject.module.get_submodule(name)).weight for name in LAYERS]
    assert weights[0] is weights[1]
    assert all(len(torch.unique(weight)) <= counts[name] for name, weight in zip(LAYERS, weights, strict=True))
    # What it takes is not twice what it takes: nothing is spent that is not there.
    row = rows["one.conv1, one.conv2"]
    assert row["sizes"][row["taken"]] == pytest.approx(deflated_bytes(weights[:1]), rel=0.05)
    usual = [cast("Any", alike.subject.module.get_submodule(name)).weight for name in LAYERS]
    assert sum(deflated_bytes([each]) for each in weights[1:]) <= sum(deflated_bytes([each]) for each in usual[1:])
    assert {change.layer: change.count for change in done.subject.changes if isinstance(change, Clustered)} == counts


def test_a_way_that_does_not_run_is_left_out_and_the_pass_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of code that reads a layer's weight, which the factorisation alike leaves whole, and only a smaller rank would part."""
    start = subject("residual")
    settings = Factorise.model_validate({"pass": "factorise", "layers": LAYERS, "energy": 0.97})
    alike = factorise_pass(settings, start, bench(deaf, tmp_path / "alike", 0)[0])
    stays = next(name for name in LAYERS if name not in alike.record["layers"])

    def forward(module: Any, x: torch.Tensor) -> torch.Tensor:
        assert module.get_submodule(stays).weight is not None
        return usual(module, x)

    usual = type(start.module).forward
    monkeypatch.setattr(type(start.module), "forward", forward)
    given, lines = bench(sensitive_to(start, LOUD) if stays != LOUD else deaf, tmp_path / "by layer")
    done = factorise_pass(settings, start, given)
    assert any(f"{stays}: rank" in line and "is left out" in line for line in lines)
    assert stays not in done.record["layers"]
    assert done.record["layer_sensitivity"]["layers"]


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


def test_the_report_shows_what_each_layer_bore(tmp_path: Path) -> None:
    done = factorised(sensitive_to(subject("residual"), LOUD), tmp_path)
    page = Page("Compression", "")
    _layers(page, "factorise", done.record["layer_sensitivity"], "top-1")
    html = page.html()
    assert LOUD in html
    assert "What each layer bears: factorise" in html
    assert re.search(r"rank \d+, \w+: \d+\.\d\d%, \d+\.\d\d% off", html)
