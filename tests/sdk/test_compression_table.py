"""The tables of compression: their recipes, what is demanded of the figures, and how they are written."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.compression.recipe import recipe_of

SCRIPTS = ("passes", "reader", "assets")


@pytest.fixture(scope="module", autouse=True)
def compression_path(root: Path, benchmarks_path: None) -> Iterator[None]:
    folder = root / "benchmarks" / "compression"
    # Names as plain as `tables` may be another's; and the scripts put folders on the path as well.
    ours, path = [file.stem for file in folder.glob("*.py")], sys.path[:]
    others = {name: sys.modules.pop(name) for name in ours if name in sys.modules}
    sys.path.insert(0, str(folder))
    yield
    sys.path[:] = path
    for name in ours:
        sys.modules.pop(name, None)
    sys.modules.update(others)


def _row(**changes: Any) -> dict[str, Any]:
    artifact = {
        "precision": "int8",
        "bytes": 80,
        "deflated_bytes": 70,
        "figure": {"name": "top1", "value": 0.99, "low": 0.98, "high": 1.0, "n": 500},
        "lost": {"value": 0.01, "low": 0.0, "high": 0.02},
        "ms": 0.1,
        "faster": {"value": 3.0, "low": 2.9, "high": 3.1},
    }
    return {
        "before": {"macs": 4_000_000},
        "after": {"macs": 1_000_000},
        "artifacts": {"OpenVINO": {**artifact, **changes}},
    }


def _rows(**changes: Any) -> dict[str, Any]:
    return {"none": _row(bytes=960, deflated_bytes=840, precision="fp32"), "all": _row(**changes)}


def _table(rows: dict[str, Any], goals: list[dict[str, Any]], missing: tuple[str, ...] = ()) -> dict[str, Any]:
    timing = {"failed": {}, "others_pct": {"median": 1.0, "worst": 4.0}, "repeated": 0, "host": {}}
    made = {"command": "python x.py", "date": "2026-01-01", "host": {"cpu": "A", "cores": 2}}
    return {"made": made, "goals": goals, "models": {"m": {"rows": rows, "missing": list(missing), "timing": timing}}}


def _verdicts(goals: list[dict[str, Any]]) -> dict[str, bool | None]:
    return {goal["what"]: goal["met"] for goal in goals}


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_recipe_is_one_that_compress_takes_in_the_order_of_its_passes(script: str, tmp_path: Path) -> None:
    data = {"train": tmp_path / "train", "choose": tmp_path / "choose", "evaluate": tmp_path / "test"}
    for name, recipe in _recipes(script).items():
        if recipe.passes:
            read = recipe_of(json.loads(recipe.text(data)))
            assert not read.reordered, name
            assert read.of_artifact == recipe.precision, name


@pytest.mark.parametrize("script", SCRIPTS)
def test_rows_by_layer_measure_what_layers_bear_and_the_rows_of_the_same_passes_do_not(script: str) -> None:
    recipes = _recipes(script)
    by_layer = {name for name in recipes if ", by layer" in name}
    assert by_layer
    for name, recipe in recipes.items():
        kinds = {one["pass"] for one in recipe.passes}
        surveyed = bool(recipe.sensitivity) and bool(kinds & {"factorise", "cluster"})
        assert surveyed == (name in by_layer), name
    for name in by_layer:
        alike = recipes.get(name.removesuffix(", by layer"))
        assert alike is None or [*alike.passes] == [*recipes[name].passes], name


class TestKeptRows:
    """What is kept of a row is of its pictures' content, wherever they lie."""

    def test_a_copy_of_the_pictures_is_as_good_and_another_picture_is_not(self, root: Path, tmp_path: Path) -> None:
        rows = importlib.import_module("rows")
        keys = {}
        for place, content in (("here", b"1"), ("there", b"1"), ("other", b"2")):
            picture = tmp_path / place / "train" / "0" / "a.png"
            picture.parent.mkdir(parents=True)
            picture.write_bytes(content)
            made = rows.Rows(
                root / "benchmarks/compression/resnet20.yaml", {"train": tmp_path / place / "train"}, (), tmp_path
            )
            keys[place] = made._key(rows.Recipe(()))
        assert keys["here"] == keys["there"] != keys["other"]


class TestGoals:
    def test_all_are_met_at_their_very_limits(self) -> None:
        assert set(_verdicts(importlib.import_module("goals").of_all_passes(_rows(), "all")).values()) == {True}

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"bytes": 81}, "bytes of the files unpacked"),
            ({"deflated_bytes": 71}, "bytes stored in the bundle"),
            ({"faster": {"value": 2.99, "low": 2.9, "high": 3.1}}, "latency"),
            ({"lost": {"value": 0.0101, "low": 0.0, "high": 0.03}}, "top1 lost"),
        ],
        ids=["bytes", "deflated", "latency", "lost"],
    )
    def test_one_that_is_missed_is_not_met_and_the_others_are(self, changes: dict[str, Any], what: str) -> None:
        found = _verdicts(importlib.import_module("goals").of_all_passes(_rows(**changes), "all"))
        assert found.pop(what) is False
        assert set(found.values()) == {True}

    def test_what_was_not_measured_is_neither_met_nor_missed(self) -> None:
        goals, rows = importlib.import_module("goals"), _rows()
        del rows["all"]["artifacts"]["OpenVINO"]["faster"]
        assert _verdicts(goals.of_all_passes(rows, "all"))["latency"] is None
        assert [goal["met"] for goal in goals.of_all_passes({"none": rows["none"]}, "all")] == [None]

    def test_the_reader_is_judged_by_its_files_and_where_clustered_by_what_deflate_leaves(self) -> None:
        rows = {**_rows(bytes=320, deflated_bytes=700), "clustered": _row(bytes=960, deflated_bytes=280)}
        found = importlib.import_module("goals").of_the_reader(rows, "all", "clustered")
        assert [(goal["row"], goal["what"], goal["met"]) for goal in found] == [
            ("all", "bytes of the files unpacked", True),
            ("all", "top1 lost", True),
            ("clustered", "bytes stored in the bundle", True),
            ("clustered", "top1 lost", True),
        ]


class TestPage:
    def test_it_says_what_is_not_met_and_what_is_missing(self) -> None:
        goals = importlib.import_module("goals").of_all_passes(_rows(bytes=200), "all")
        text = importlib.import_module("tables").text_of(_table(_rows(bytes=200), goals, ("qat",)))
        assert "bytes of the files unpacked (OpenVINO): 4.8; at least 12 times fewer wanted: **not met**" in text
        assert "Not measured: qat." in text
        assert "| all | 1 M (4.00 x fewer) | OpenVINO | int8 | 0.2 kB (4.80 x fewer) |" in text

    def test_times_that_others_disturbed_are_said_to_be(self) -> None:
        table = _table(_rows(), [])
        table["models"]["m"]["timing"]["others_pct"]["worst"] = 60.0
        assert "60 % in the worst, more than is allowed" in importlib.import_module("tables").text_of(table)

    def test_what_a_pass_by_layer_scored_both_ways_is_told_and_of_other_passes_nothing(self) -> None:
        layers = {"score_alike": 0.5, "score_by_layer": 0.75, "taken": "by layer"}
        rows = {
            **_rows(),
            "thin": {**_row(), "passes": [{"kind": "factorise", "by_layer": layers}, {"kind": "distil"}]},
        }
        text_of = importlib.import_module("tables").text_of
        told = "- thin, *factorise*: 0.5000 with all layers alike, 0.7500 by layer; taken: by layer"
        assert told in text_of(_table(rows, []))
        assert "alike" not in text_of(_table(_rows(), []))

    @pytest.mark.parametrize("script", SCRIPTS)
    def test_the_committed_page_is_that_of_the_committed_figures(self, script: str, root: Path) -> None:
        page = (root / "docs" / "compressing.md").read_text("utf-8")
        results = root / f"benchmarks/results/compression_{script}.json"
        marks = importlib.import_module("marked_page").Marks("table", f"benchmarks/compression/{script}.py")
        shown = page.partition(marks.begin)[2].partition(marks.end)[0].strip()
        if not results.is_file():
            assert shown == "Not measured yet."
            return
        table = json.loads(results.read_text("utf-8"))
        assert shown == importlib.import_module("tables").text_of(table).strip()
        assert table["goals"] == _goals_of(script, table["models"])


def _recipes(script: str) -> dict[str, Any]:
    module = importlib.import_module(script)
    if script == "passes":
        return dict(module.recipes(quick=False))
    return dict(module.RECIPES) if script == "reader" else {**module.PRUNED, **module.UNLABELLED}


def _goals_of(script: str, models: dict[str, Any]) -> list[dict[str, Any]]:
    """Judge a table's rows anew."""
    goals = importlib.import_module("goals")
    if script == "assets":
        return []
    module = importlib.import_module(script)
    rows = next(iter(models.values()))["rows"]
    if script == "passes":
        found: list[dict[str, Any]] = goals.of_all_passes(rows, module.ALL)
    else:
        found = goals.of_the_reader(rows, module.FACTORISED, module.CLUSTERED)
    return found
