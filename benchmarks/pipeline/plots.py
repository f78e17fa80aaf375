"""The page's two pictures: rates beside the limit, and ages of live results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk.report.plots import bars

RATES, AGES = "performance-rates.svg", "performance-ages.svg"


def draw_plots(document: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Write the pictures that there are figures for; return their names by part."""
    drawn = {}
    for letter, name, make in (("A", RATES, _rates), ("B", AGES, _ages)):
        rows = [row for row in document["parts"].get(letter, {}).get("rows", ()) if "why_not" not in row]
        if rows:
            (folder / name).write_text(make(rows) + "\n", "utf-8")
            drawn[letter] = name
    return drawn


def _rates(rows: list[dict[str, Any]]) -> str:
    ranked = sorted(rows, key=lambda row: -row["rate"])
    return bars(
        [row["name"] for row in ranked], {"frames a second": [row["rate"] for row in ranked]}, unit="frames a second"
    )


def _ages(rows: list[dict[str, Any]]) -> str:
    series = {percentile: [row[f"age_{percentile}_ms"] for row in rows] for percentile in ("p50", "p95")}
    return bars([row["name"] for row in rows], series, unit="ms from the moment in the picture to the result")
