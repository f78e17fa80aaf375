"""What each layer bears is measured once, kept through a kill, and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from edgesdk.compression.changes import Clustered
from edgesdk.compression.cluster_by_layer import cluster_pass
from edgesdk.compression.factorise_by_layer import factorise_pass
from edgesdk.compression.model_size import deflated_bytes
from edgesdk.compression.page import _layers
from edgesdk.compression.pass_settings import Factorise
from edgesdk.compression.subject import Subject
from edgesdk.compression.tie_layers import tie_layers
from edgesdk.compression.workbench import PassDone
from edgesdk.report.page import Page
from edgesdk_testkit.measured_layers import (
    CLUSTER,
    LAYERS,
    LOUD,
    bench,
    clustered,
    deaf,
    factorised,
    sensitive_to,
)
from edgesdk_testkit.nets_to_compress import subject


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


def test_the_report_shows_what_each_layer_bore(tmp_path: Path) -> None:
    done = factorised(sensitive_to(subject("residual"), LOUD), tmp_path)
    page = Page("Compression", "")
    _layers(page, "factorise", done.record["layer_sensitivity"], "top-1")
    html = page.html()
    assert LOUD in html
    assert "What each layer bears: factorise" in html
    assert re.search(r"rank \d+, \w+: \d+\.\d\d%, \d+\.\d\d% off", html)
