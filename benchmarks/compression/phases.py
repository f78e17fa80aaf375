"""The phases of a table of compression: make the rows, time them, and write what there is.

What is made is kept, so that each phase may be run by itself: making on a busy machine, timing on a quiet one. A row that was
not made is named in the table as missing, and times that are not of the artifacts as they are now are left out.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from by_turns import timed
from rows import BEFORE, Recipe, Rows
from table.kept import Kept

from edgesdk.benchmark.host import host_facts
from edgesdk_targets.whole_file import write_whole

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PHASES = ("make", "time")
Goals = Callable[[Mapping[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a table.

    Attributes:
        recipes: by the name of their row, in the order of the table.
        begun: row → rows whose finished passes may be its first.
    """

    rows: Rows
    recipes: Mapping[str, Recipe]
    begun: Mapping[str, Sequence[str]]


def options_of(parser: argparse.ArgumentParser, name: str, rows: Sequence[str]) -> argparse.Namespace:
    """Add what all tables can be asked for, and read it."""
    parser.add_argument("--phase", nargs="+", choices=PHASES, default=PHASES, help="only these phases")
    parser.add_argument("--only", nargs="+", choices=rows, default=rows, metavar="ROW", help=f"of {', '.join(rows)}")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / name, help="for all that is made")
    return parser.parse_args()


def run(models: Mapping[str, Model], options: argparse.Namespace) -> dict[str, Any]:
    """Run the phases that are asked for, and return what there is of each model."""
    for name, model in models.items():
        if "make" in options.phase:
            model.rows.before()
            for row in [row for row in model.recipes if row in options.only]:
                print(f"{name}: {row}", file=sys.stderr, flush=True)
                model.rows.row(row, model.recipes[row], model.begun.get(row, ()))
        if "time" in options.phase:
            _time(name, model, options.work)
    return found_of(models, options.work)


def found_of(models: Mapping[str, Model], work: Path) -> dict[str, Any]:
    """Return what there is of each model."""
    return {name: _found(name, model, work) for name, model in models.items()}


def document(command: str, found: Mapping[str, Any], goals: Goals) -> dict[str, Any]:
    """Return a whole table, ready for JSON."""
    host = host_facts().to_json()
    return {
        "made": {
            "command": command,
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "host": {name: host[name] for name in ("cpu", "arch", "cores", "system", "python")},
        },
        "goals": goals(found),
        "models": dict(found),
    }


def write(name: str, table: Mapping[str, Any]) -> Path:
    """Write a table's figures."""
    path = RESULTS / f"{name}.json"
    write_whole(path, (json.dumps(table, indent=1) + "\n").encode())
    return path


def _rows(model: Model) -> dict[str, dict[str, Any]]:
    """Return the rows that are made, that of the model as it was first."""
    found = {name: model.rows.find(name, recipe) for name, recipe in {BEFORE: Recipe(()), **model.recipes}.items()}
    return {name: row for name, row in found.items() if row is not None}


def _time(name: str, model: Model, work: Path) -> None:
    rows = _rows(model)
    if BEFORE not in rows:
        raise SystemExit(f"{name} was not made yet: begin with --phase make")
    since = time.monotonic()
    content = timed({row: model.rows.artifacts(content) for row, content in rows.items()}, BEFORE)
    # What it is of is told by the digests, row by row.
    Kept(work).put("time", name, "", {**content, "digests": _digests(model, rows)}, time.monotonic() - since)


def _found(name: str, model: Model, work: Path) -> dict[str, Any]:
    """Return a model's rows with their times, where these were taken of the same artifacts."""
    rows = _rows(model)
    part = Kept(work).find("time", name)
    timing = part.content if part is not None else None
    now = _digests(model, rows)
    shown: dict[str, Any] = {}
    for row, content in rows.items():
        same = (
            timing is not None
            and timing["digests"].get(row) == now[row]
            and timing["digests"].get(BEFORE) == now[BEFORE]
        )
        times = timing["rows"].get(row, {}) if timing is not None and same else {}
        artifacts = {family: {**one, **times.get(family, {})} for family, one in content["artifacts"].items()}
        shown[row] = {**{key: value for key, value in content.items() if key != "bundle"}, "artifacts": artifacts}
    told = {key: timing[key] for key in ("failed", "others_pct", "repeated", "host")} if timing is not None else None
    return {"rows": shown, "missing": [row for row in model.recipes if row not in rows], "timing": told}


def _digests(model: Model, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return a digest of each row's bundle."""
    bundles = {row: next(iter(model.rows.artifacts(content).values())).bundle for row, content in rows.items()}
    return {row: hashlib.sha256(path.read_bytes()).hexdigest() for row, path in bundles.items()}
