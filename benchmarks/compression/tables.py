"""A table of compression: its figures as JSON, and as Markdown between its marks in `docs/compressing.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from marked_page import Marks
from phases import ROOT, write
from rows import BEFORE
from table.cases import FAMILIES
from table.timing import MOST_OTHERS

from edgesdk_targets.catalogue import find_target

PAGE = ROOT / "docs" / "compressing.md"
_COLUMNS = (
    "row",
    "MACs",
    "family",
    "precision",
    "unpacked",
    "in the bundle",
    "figure (95 %)",
    "lost (90 %)",
    "ms",
    "speed",
)


def finish(name: str, script: str, table: Mapping[str, Any]) -> int:
    """Write a table's results and page, and return how its script ends: with 1 where a goal is not met, or not measured."""
    print(write(name, table))
    write_page(script, table)
    return 0 if all(goal["met"] for goal in table["goals"]) else 1


def write_page(script: str, table: Mapping[str, Any], page: Path = PAGE) -> None:
    """Replace what is between the marks of a script.

    Raises:
        InputError: the page has no marks.
    """
    Marks("table", script).replace(page, text_of(table))


def text_of(table: Mapping[str, Any]) -> str:
    """Return the whole table."""
    made = table["made"]
    head = f"Written {made['date']} by `{made['command']}` on {made['host']['cores']} cores of {made['host']['cpu']}."
    parts = [head, "", *_goals_text(table["goals"], beside_others=_beside_others(table["models"].values()))]
    for name, model in table["models"].items():
        parts += [*([f"**{name}**", ""] if len(table["models"]) > 1 else []), *_model_text(model), ""]
    return "\n".join(parts).rstrip() + "\n"


def _beside_others(models: Iterable[Mapping[str, Any]]) -> bool:
    timings = [model["timing"] for model in models if model["timing"] is not None]
    return any(timing["others_pct"]["worst"] > MOST_OTHERS for timing in timings)


def _goals_text(goals: Sequence[Mapping[str, Any]], *, beside_others: bool) -> list[str]:
    if not goals:
        return []
    lines = []
    for goal in goals:
        where = ", ".join(part for part in (goal.get("row", ""), goal["family"]) if part)
        what = f"- {goal['what']}{f' ({where})' if where else ''}"
        if goal["found"] is None:
            lines.append(f"{what}: not measured")
            continue
        how = " (beside other work)" if beside_others and goal["what"] == "latency" else ""
        verdict = "met" if goal["met"] else "**not met**"
        lines.append(f"{what}: {goal['found']:.4g}{_interval(goal)}{how}; {goal['wanted']} wanted: {verdict}")
    return [*lines, ""]


def _interval(goal: Mapping[str, Any]) -> str:
    ends = goal.get("interval")
    return f" ({ends[0]:.4f} … {ends[1]:.4f})" if ends else ""


def _model_text(model: Mapping[str, Any]) -> list[str]:
    rows = model["rows"]
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for name, row in rows.items():
        for family, artifact in row["artifacts"].items():
            before = rows[BEFORE]["artifacts"][family] if BEFORE in rows else artifact
            lines.append(f"| {' | '.join(_cells(name, row, family, artifact, before))} |")
    if model["missing"]:
        lines += ["", f"Not measured: {', '.join(model['missing'])}."]
    lines += [*_by_layer_text(rows), "", _timing_text(model["timing"])]
    return lines


def _by_layer_text(rows: Mapping[str, Any]) -> list[str]:
    """Say of each pass that measured what layers bear how the model scored both ways, before it learnt again."""
    found = [
        f"- {name}, *{one['kind']}*: {layers['score_alike']:.4f} with all layers alike, {layers['score_by_layer']:.4f} by layer; "
        f"taken: {layers['taken']}"
        for name, row in rows.items()
        for one in row.get("passes", ())
        if (layers := one.get("by_layer")) is not None
    ]
    return ["", "Quick scores right after the pass, on pictures to choose by:", "", *found] if found else []


def _cells(
    name: str, row: Mapping[str, Any], family: str, artifact: Mapping[str, Any], before: Mapping[str, Any]
) -> list[str]:
    figure, lost = artifact["figure"], artifact["lost"]
    after = row.get("after")
    macs = "" if after is None else f"{after['macs'] / 1e6:.3g} M ({row['before']['macs'] / after['macs']:.2f} x fewer)"
    return [
        name,
        macs,
        _whose(family, artifact),
        artifact["precision"],
        *(_fewer(before[key], artifact[key]) for key in ("bytes", "deflated_bytes")),
        f"{figure['name']} {figure['value']:.4f} ({figure['low']:.4f} … {figure['high']:.4f})",
        "" if name == BEFORE else f"{lost['value']:+.4f} ({lost['low']:+.4f} … {lost['high']:+.4f})",
        f"{artifact['ms']:.3g}" if "ms" in artifact else "",
        f"{artifact['faster']['value']:.2f} x" if "faster" in artifact and name != BEFORE else "",
    ]


def _whose(family: str, artifact: Mapping[str, Any]) -> str:
    """Return the family, and who ran its file where that was another's runtime."""
    families = {find_target(target).runtimes[0].value: name for name, target in FAMILIES.items()}
    ran_by = families[artifact["ran_by"]] if "ran_by" in artifact else family
    return family if ran_by == family else f"{family}'s file, run by {ran_by}"


def _fewer(before: int, after: int) -> str:
    return f"{after / 1e3:,.1f} kB" + ("" if before == after else f" ({before / after:.2f} x fewer)")


def _timing_text(timing: Mapping[str, Any] | None) -> str:
    if timing is None:
        return "Times were not measured."
    others = timing["others_pct"]
    told = f"Times: median of turns on one thread; others took {others['median']:.0f} % of a core in the median turn"
    disturbed = ", more than is allowed: such times are too long" if others["worst"] > MOST_OTHERS else ""
    failed = f" Not timed: {', '.join(timing['failed'])}." if timing["failed"] else ""
    return f"{told}, {others['worst']:.0f} % in the worst{disturbed}.{failed}"
