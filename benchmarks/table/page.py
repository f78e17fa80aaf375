"""Write the table into `docs/models.md`, between its two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import InputError

BEGIN, END = "<!-- table: begin; written by benchmarks/models_table.py -->", "<!-- table: end -->"
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
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise InputError(f"{page} has no marks for the table.", hint=f"Put {BEGIN} and {END} into it.")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{table_text(results)}\n{END}{after}", "utf-8")


def table_text(results: Mapping[str, Any]) -> str:
    """Return the whole table as Markdown."""
    made = results["made"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    head = f"Made {made['date']} by `{made['command']}` on {made['host']['cpu']}, {made['host']['cores']} cores. {versions}.\n"
    return "\n".join([head, _asked_text(results["asked"]), *(_model_text(model) for model in results["models"])])


def _asked_text(asked: Sequence[Mapping[str, Any]]) -> str:
    """Say what of the demands on INT8 is not met, by name, and what is not measured."""
    held = sum(line["holds"] is True for line in asked)
    lines = [f"Of {len(asked)} demands on the INT8 artifacts {held} are met.", ""]
    for title, verdict in (("Not met:", False), ("Not measured yet:", None)):
        found = [line for line in asked if line["holds"] is verdict]
        if found:
            lines += [title, "", *(f"- {_demand(line)}" for line in found), ""]
    return "\n".join(lines)


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
        f'{model["pictures"]} pictures; the figure is "{model["main"]}".{of_float} {_timing_text(model)}',
        "",
        f"| {' | '.join(_COLUMNS)} | also |",
        f"|{'---|' * (len(_COLUMNS) + 1)}",
        *(_row_text(row, model["main"]) for row in model["rows"]),
        "",
    ]
    return "\n".join(lines)


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
        others,
    )
    return f"| {' | '.join(map(_cell, cells))} |"


def _figure(figure: Mapping[str, Any]) -> str:
    percent = [100 * figure[name] for name in ("value", "low", "high")]
    return f"{percent[0]:.1f} % ({percent[1]:.1f} … {percent[2]:.1f})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:_NOTE]
