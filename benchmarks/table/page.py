"""Write the table into `docs/models.md`, between its two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marked_page import Marks

from table.bounds import no_worse
from table.timing import MOST_OTHERS

MARKS = Marks("table", "benchmarks/models_table.py")
_COLUMNS = (
    "family",
    "precision",
    "figure (95 % interval)",
    "worst parity",
    "size",
    "ms",
    "time of fp32",
    "speed of PyTorch",
)
_NOTE = 160


def write_page(page: Path, results: Mapping[str, Any]) -> None:
    """Replace what is between the marks.

    Raises:
        InputError: the page has no marks.
    """
    MARKS.replace(page, table_text(results))


def table_text(results: Mapping[str, Any]) -> str:
    """Return the whole table as Markdown."""
    made = results["made"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    head = f"Written {made['date']} by `{made['command']}`; machines with {made['host']['cores']} cores. {versions}.\n"
    models = results["models"]
    ends = (_by_hand_text(models), _emulated_text(models))
    return "\n".join([head, _asked_text(results["asked"], models), *map(_model_text, models), *ends])


def _asked_text(asked: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]]) -> str:
    """Say what of the demands on INT8 is not met, by name, what is not measured, and whose times others disturbed."""
    held = sum(line["holds"] is True for line in asked)
    lines = [f"Of {len(asked)} demands on the INT8 artifacts {held} are met.{_disturbed_text(asked, models)}", ""]
    for title, verdict in (("Not met:", False), ("Not measured yet:", None)):
        found = [line for line in asked if line["holds"] is verdict]
        if found:
            lines += [title, "", *(f"- {_demand(line)}" for line in found), ""]
    return "\n".join(lines)


def _disturbed_text(asked: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]]) -> str:
    """Name the models of a demand of which a turn counts that others disturbed, as no repeat of it was quieter."""
    worst = {model["model"]: (model.get("timing") or {}).get("others_pct", {}).get("worst", 0.0) for model in models}
    names = [name for name in worst if worst[name] > MOST_OTHERS and any(line["model"] == name for line in asked)]
    told = " and ".join(f"{_title(name)} (at worst {worst[name]:.0f} % of a core)" for name in names)
    return f" Others disturbed the timing of {told}: their speeds rest on such turns too." if told else ""


def _demand(line: Mapping[str, Any]) -> str:
    said = f"{_title(line['model'])}, {line['family']}: {line['asked']}"
    if "why" in line:
        return f"{said}; not built: {_cell(line['why'])}"
    return said if line["measured"] is None else f"{said}; measured {line['measured']:.3g}"


def _model_text(model: Mapping[str, Any]) -> str:
    own = {name: figure for name, figure in model["float"].items() if not {"float", "lost"} & set(name.split())}
    plain = ", ".join(f"{name} {_figure(figure)}" for name, figure in own.items())
    of_float = f" The float model: {plain}." if plain else ""
    lines = [
        f"### {_title(model['model'])}",
        "",
        f'{model["pictures"]} pictures; the figure is "{model["main"]}".{of_float} {_made_text(model)} {_timing_text(model)}',
        "",
        f"| {' | '.join(_COLUMNS)} | also |",
        f"|{'---|' * (len(_COLUMNS) + 1)}",
        *(_row_text(row, model["main"]) for row in model["rows"]),
        "",
    ]
    return "\n".join(lines)


def _made_text(model: Mapping[str, Any]) -> str:
    return f"Made {model['made']['date']} on {model['made']['host']['cpu']}."


def _timing_text(model: Mapping[str, Any]) -> str:
    timing = model.get("timing")
    if timing is None:
        return "Speed: not measured yet."
    eager = f"PyTorch eager: {model['eager_ms']:.3g} ms. " if model.get("eager_ms") else ""
    others = timing["others_pct"]
    return (
        f"{eager}While it was timed, others took {others['median']:.0f} % of a core, at worst {others['worst']:.0f} %."
    )


def _title(name: str) -> str:
    return name.replace("_", "-")


def _by_hand_text(models: Sequence[Mapping[str, Any]]) -> str:
    """Return INT8 beside what a script of a few lines makes with the same tool; nothing where no script was tried."""
    tried = [(m, family, found) for m in models for family, found in m.get("by_hand", {}).items()]
    if not tried:
        return ""
    lines = [
        "### INT8 beside a script of a few lines",
        "",
        "The same tool's own INT8 with its usual settings ([scripts.py](../benchmarks/table/scripts.py)), on the same pictures.",
        "*No worse*: within half a point, of AP50 within one; float is mark enough where a script happens to do better.",
        "",
        "| model | family | figure | script | this project | no worse |",
        "|---|---|---|---|---|---|",
    ]
    for model, family, found in tried:
        row = next(r for r in model["rows"] if (r["family"], r["precision"]) == (family, "int8"))
        start = f"| {_title(model['model'])} | {family} | "
        if "failure" in found or "figures" not in row:
            why = found.get("failure") or row.get("failure", "")
            lines.append(f"{start}{_cell(why)} | | | |")
            continue
        for name, holds in no_worse(model, found, row).items():
            both = " | ".join(_figure(figures["figures"][name]) for figures in (found, row))
            lines.append(f"{start}{name} | {both} | {'yes' if holds else '**no**'} |")
    return "\n".join([*lines, ""])


def _emulated_text(models: Sequence[Mapping[str, Any]]) -> str:
    """Return what an emulated board answered; nothing where none was tried."""
    tried = [(m, family, found) for m in models for family, found in m.get("emulated", {}).items()]
    if not tried:
        return ""
    lines = [
        "### On an emulated Raspberry Pi 5 (Cortex-A76)",
        "",
        "Status: emulated; nothing is said of speed. Figures: the board's, and in brackets this machine's on the same pictures.",
        "",
        "| model | family | precision | golden set | pictures | figures | as here |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, family, found in tried:
        for precision, one in found.items():
            told = ", ".join(
                f"{name} {100 * pair['board']:.1f} % ({100 * pair['here']:.1f} %)"
                for name, pair in one.get("figures", {}).items()
            )
            if precision.startswith("altered"):
                verdict = "found out" if one["holds"] else "**not found out**"
                told = _cell(one.get("why", ""))
            else:
                verdict, told = ("yes" if one["holds"] else "**no**"), told or _cell(one.get("why", ""))
            cells = (
                _title(model["model"]),
                family,
                precision,
                one.get("golden", ""),
                str(one.get("pictures", "")),
                told,
            )
            lines.append(f"| {' | '.join(cells)} | {verdict} |")
    return "\n".join([*lines, ""])


def _row_text(row: Mapping[str, Any], main: str) -> str:
    if "figures" not in row:
        reason = _cell(row.get("failure", ""))
        return f"| {row['family']} | {row['precision']} | {reason} |{' |' * 6}"
    precision = row["precision"] if row["built"] == row["precision"] else f"{row['precision']}, built {row['built']}"
    worst = row.get("worst_parity") or {}
    parity = f"{worst['sqnr_db']:.0f} dB ({worst['name']})" if "sqnr_db" in worst else ""
    others = ", ".join(f"{name} {_figure(figure)}" for name, figure in row["figures"].items() if name != main)
    slower = " **slower**" if row.get("slower_than_fp32") and row["precision"] == "int8" else ""
    cells = (
        row["family"],
        precision,
        _figure(row["figures"][main]),
        parity,
        f"{row['bytes'] / 1e6:.3g} MB",
        f"{row['ms']:.3g}" if row.get("ms") else "",
        f"{row['times_fp32']['value']:.2f} x{slower}" if "times_fp32" in row else "",
        f"{row['speedup_over_eager']['value']:.1f} x" if "speedup_over_eager" in row else "",
        ", ".join(part for part in (others, _parser_text(row)) if part),
    )
    return f"| {' | '.join(map(_cell, cells))} |"


def _parser_text(row: Mapping[str, Any]) -> str:
    verdict = row.get("parser")
    if verdict is None:
        return ""
    if verdict["status"] == "accepted":
        return "TensorRT-RTX builds it" if verdict["built"] else "TensorRT-RTX reads it"
    return f"**refused by TensorRT-RTX**: {verdict['op']} {verdict['node']} {verdict['reason']}"


def _figure(figure: Mapping[str, Any]) -> str:
    percent = [100 * figure[name] for name in ("value", "low", "high")]
    return f"{percent[0]:.1f} % ({percent[1]:.1f} … {percent[2]:.1f})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:_NOTE]
