"""Put what the phases found together: the document that is committed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk.benchmark.host import host_facts
from edgesdk.benchmark.statistics import Ratio, ratio
from table.bounds import judged
from table.keys import versions
from table.torch_lane import NAME as EAGER

_MADE = ("date", "host", "versions")

# family → precision → what a phase found
Found = Mapping[str, Mapping[str, Any]]


def document(command: str, models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the whole table, ready for JSON."""
    return {"made": {"command": command, **_made_here()}, "asked": judged(models), "models": list(models)}


def as_committed(results: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return a model's part of an earlier table, with when and where it was made; None where it is not there."""
    made = {key: results["made"][key] for key in _MADE}
    return next(({"made": made, **model} for model in results["models"] if model["model"] == name), None)


def with_committed(part: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add to a model's part what was tried by name and is not tried anew, as an earlier table has it.

    What a board answered stays as long as the artifacts are the same; what scripts make, as long as the float model's figures are.
    """
    if before is None:
        return part
    families = dict.fromkeys(row["family"] for row in part["rows"])
    same = {
        "emulated": {family for family in families if _artifacts(part, family) == _artifacts(before, family)},
        "by_hand": set(families if part["float"] == before["float"] else ()),
    }
    for told, still in same.items():
        found = {**{f: one for f, one in before.get(told, {}).items() if f in still}, **part.get(told, {})}
        if found:
            part = {**part, told: {family: found[family] for family in families if family in found}}
    return part


def _artifacts(part: Mapping[str, Any], family: str) -> dict[str, str]:
    """Return the digest of each of a family's bundles by precision."""
    return {row["precision"]: row["sha256"] for row in part["rows"] if row["family"] == family and "sha256" in row}


def model_part(
    name: str,
    cells: Found,
    figures: Mapping[str, Mapping[str, Any]],
    race: Mapping[str, Any] | None,
    tried: Mapping[str, Found],
) -> dict[str, Any]:
    """Return a model's part of the table.

    Args:
        cells: what was built.
        figures: by family, what the phase "judge" found.
        race: what the phase "time" found about these artifacts; None where they are not timed yet.
        tried: what the phases found that are asked for by name, of the families that each has tried.
    """
    first = next(iter(figures.values()))
    rows = [
        _row(family, precision, cell, figures[family]["figures"].get(precision), race)
        for family, built in cells.items()
        for precision, cell in built.items()
    ]
    part = {"model": name, "made": _made_here(), **{key: first[key] for key in ("task", "pictures", "main", "float")}}
    if race is not None:
        timed = {key: race[key] for key in ("threads", "others_pct", "repeated")}
        part |= {"eager_ms": _ms(race, EAGER), "timing": timed}
    for phase, told in (("emulate", "emulated"), ("by_hand", "by_hand")):
        if tried[phase]:
            part[told] = {family: dict(found) for family, found in tried[phase].items()}
    for row in rows:
        if verdict := tried["parse"].get(row["family"], {}).get(row["precision"]):
            row["parser"] = verdict
    return {**part, "rows": rows}


def _made_here() -> dict[str, Any]:
    """Tell when, where and with what a table is made."""
    host = host_facts().to_json()
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "host": {name: host[name] for name in ("cpu", "arch", "cores", "system", "python")},
        "versions": versions(),
    }


def contender(family: str, precision: str) -> str:
    """Return the name under which an artifact is timed."""
    return f"{family} {precision}"


def _row(
    family: str,
    precision: str,
    cell: Mapping[str, Any],
    judged_cell: Mapping[str, Any] | None,
    race: Mapping[str, Any] | None,
) -> dict[str, Any]:
    row = {
        "family": family,
        "precision": precision,
        **{k: v for k, v in cell.items() if k not in {"bundle", "variant"}},
    }
    row |= judged_cell or {}
    name = contender(family, precision)
    if race is None or "figures" not in row:
        return row
    if name in race["failed"]:
        return {**row, "not_timed": race["failed"][name]}
    if name not in race["contenders"]:
        return row
    row |= {"ms": _ms(race, name), "rss_bytes": race["contenders"][name]["rss_bytes"]}
    plain = contender(family, "fp32")
    if plain in race["contenders"]:
        taken = _ratio(race, name, plain)
        row |= {"fp32_ms": _ms(race, plain), "times_fp32": taken.to_json(), "slower_than_fp32": taken.slower}
    if EAGER in race["contenders"]:
        # How many times as fast as PyTorch: its time over this one.
        row["speedup_over_eager"] = _ratio(race, EAGER, name).to_json()
    return row


def _ratio(race: Mapping[str, Any], one: str, other: str) -> Ratio:
    return ratio(race["contenders"][one]["rounds_ms"], race["contenders"][other]["rounds_ms"])


def _ms(race: Mapping[str, Any], name: str) -> float | None:
    times = sorted(race["contenders"].get(name, {}).get("rounds_ms", ()))
    if not times:
        return None
    half = len(times) // 2
    return float(f"{(times[half] + times[~half]) / 2:.4g}")
