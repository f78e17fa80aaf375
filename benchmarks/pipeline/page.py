"""`docs/performance.md`: goals beside figures, met or not, and the tables, between marks; the rest is written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marked_page import Marks

from pipeline.plots import draw_plots

MARKS = Marks("figures", "benchmarks/pipeline_table.py")


def write_page(page: Path, document: Mapping[str, Any]) -> None:
    """Replace what is between the marks, and draw the plots beside the page.

    Raises:
        InputError: the page has no marks.
    """
    MARKS.check(page)
    MARKS.replace(page, page_text(document, draw_plots(document, page.parent)))


def page_text(document: Mapping[str, Any], plots: Mapping[str, str]) -> str:
    """Return all parts as Markdown; `plots`: part → picture beside the page."""
    return "\n".join(_part_text(letter, part, plots.get(letter)) for letter, part in document["parts"].items())


def summary_text(document: Mapping[str, Any]) -> str:
    """Return the goals as lines for a terminal."""
    lines = []
    for letter, part in document["parts"].items():
        for goal in part["goals"]:
            verdict = {True: "met", False: "MISSED", None: "not measured"}[goal["met"]]
            lines.append(f"{letter}  {verdict:12} {_number(goal.get('median')):>8}  {goal['bound']:9} {goal['goal']}")
    return "\n".join(lines)


def _part_text(letter: str, part: Mapping[str, Any], plot: str | None) -> str:
    facts = part["made"]
    lines = [f"## {letter}. {part['title']}", "", part["how"], ""]
    if facts["quick"] or not facts["guarded"]:
        lines += ["**A quick or unguarded run, on a machine with other work: only the ratios mean something.**", ""]
    lines += ["| goal | bound | median | by round | |", "|---|---|---|---|---|"]
    lines += [_goal_line(goal) for goal in part["goals"]]
    lines += ["", *([f"![{part['title']}]({plot})", ""] if plot else []), *_table(part["rows"]), ""]
    lines.append(f"{_circumstances(facts)}\n")
    return "\n".join(lines)


def _circumstances(facts: Mapping[str, Any]) -> str:
    host = facts["host"]
    program = f"edgesdk {facts['edgesdk']} at commit {facts['commit']}" if "commit" in facts else "commit not noted"
    return f"{facts['date']}, {program}, {facts['rounds']} rounds, {host['cpu']}, {host['cores']} cores, {facts['broker']}."


def _goal_line(goal: Mapping[str, Any]) -> str:
    if goal["met"] is None:
        return f"| {goal['goal']} | {goal['bound']} | | | not measured: {goal['why_not']} |"
    verdict = "met" if goal["met"] else "**not met**"
    spread = f"{_number(goal['least'])} … {_number(goal['most'])}"
    return f"| {goal['goal']} | {goal['bound']} | {_number(goal['median'])} | {spread} | {verdict} |"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in {"name", "why_not"}))
    lines = [f"| | {' | '.join(column.replace('_', ' ') for column in columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in rows:
        if "why_not" in row:
            lines.append(f"| {row['name']} | not measured: {row['why_not']} |{' |' * (len(columns) - 1)}")
        else:
            lines.append(f"| {row['name']} | {' | '.join(_number(row.get(column)) for column in columns)} |")
    return lines


def _number(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_number(one)}" for key, one in value.items())
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
