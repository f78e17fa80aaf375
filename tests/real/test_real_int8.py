"""INT8 of real weights: the committed table says what was asked and what was reached, and a part of it is measured anew here.

The whole is measured by `benchmarks/models_table.py`; see docs/models.md.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("benchmarks_path")]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results/models.json"
# Quick to convert, and measured on all 1,797 digits.
SAMPLE, FAMILY, TARGET = "digits_classifier", "ONNX Runtime", "generic-onnx"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return document


def _module(name: str) -> Any:
    return importlib.import_module(f"table.{name}")


def test_every_demand_is_met_or_named_on_the_page(published: dict[str, Any]) -> None:
    bounds, page = _module("bounds"), _module("page")
    lines = bounds.judged(published["models"])
    assert lines == published["asked"], "the committed verdicts are not those of the committed figures"
    assert len(lines) == sum(len(asked.families) for asked in bounds.ASKED)
    text = (ROOT / "docs/models.md").read_text("utf-8")
    listed = {line for line in text.splitlines() if line.startswith("- ") and ": at " in line}
    assert listed == {f"- {page._demand(line)}" for line in lines if line["holds"] is not True}


def test_every_model_has_every_family_and_precision(published: dict[str, Any]) -> None:
    cases = _module("cases")
    assert [model["model"] for model in published["models"]] == [case.name for case in cases.cases()]
    for model in published["models"]:
        cells = [(row["family"], row["precision"]) for row in model["rows"]]
        assert cells == [(family, precision) for family in cases.FAMILIES for precision in cases.PRECISIONS]
        for row in model["rows"]:
            # A cell without figures says why.
            assert row.get("failure") if "figures" not in row else row["worst_parity"], row


def test_an_artifact_made_now_has_the_committed_figures(published: dict[str, Any], tmp_path: Path) -> None:
    cases, build, judge = _module("cases"), _module("build"), _module("judge")
    case = next(one for one in cases.cases() if one.name == SAMPLE)
    model = _module("prepared").Prepared(case, cases.Places(None, tmp_path), _module("kept").Kept(tmp_path))
    cells = build.build_family(model, TARGET, ("int8",), lambda _line: None)["cells"]
    now = judge.judge_family(model, cells, lambda _line: None)["figures"]["int8"]["figures"]
    committed = next(one for one in published["models"] if one["model"] == SAMPLE)
    row = next(r for r in committed["rows"] if (r["family"], r["precision"]) == (FAMILY, "int8"))
    assert set(now) == set(row["figures"])
    for name, figure in row["figures"].items():
        assert figure["low"] <= now[name]["value"] <= figure["high"], name
    assert row["bytes"] == pytest.approx(cells["int8"]["bytes"], rel=0.05)
