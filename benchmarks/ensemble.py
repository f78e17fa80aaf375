"""What do averaging, voting and a cascade of small classifiers give, and what do they cost?

    python benchmarks/ensemble.py [--each 5] [--steps 200] [--work FOLDER]

Three small classifiers of rendered digits, which differ by the numbers that they began with, and a wider one are trained here
alike (a minute or two), and converted; all are kept, so that the same command measures again on a quiet machine. The three are
averaged, and vote; the first is put before the wider one as a cascade, of which the threshold is chosen on one half of new
pictures. On the other half `edgesdk compare` measures all of them as what they are: one model each. The digits are other hands'
than those of the training, each is drawn several times, and its pictures count as one. Writes `results/ensemble.json` and
the table of docs/choosing.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drawn_members import SMALL, Watch, beside, labelled_halves, member, network, options_of
from marked_page import Marks

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parent / "docs" / "choosing.md"
_WIDE = (16, 32)
_MEMBERS = ("small-1", "small-2", "small-3")


def measured(work: Path, folder: Path, each: int, steps: int) -> dict[str, Any]:
    """Train what is not kept, join and compare."""
    nets = {name: network(*SMALL, seed) for seed, name in enumerate(_MEMBERS, 1)}
    nets["wide"] = network(*_WIDE, 1)
    paths = {name: member(name, net, steps, work) for name, net in nets.items()}
    halves = labelled_halves(work, each)
    for rule in ("average", "vote"):
        paths[rule] = folder / f"{rule}.edgebundle"
        smalls = [paths[name] for name in _MEMBERS]
        edgesdk("bundle", "ensemble", *smalls, "--rule", rule, "--name", rule, "-o", paths[rule])
    paths["cascade"] = folder / "cascade.edgebundle"
    joined = [paths["small-1"], paths["wide"], "--data", halves["choose"], "--name", "cascade", "-o", paths["cascade"]]
    edgesdk("bundle", "cascade", *joined, "--max-share", "0.25")
    watch = Watch()
    found = edgesdk("compare", *paths.values(), "--data", halves["judge"], "--threads", "1", "--rounds", "15")
    return {"others_pct": watch.percent(), "pictures_a_digit": each, "steps": steps, **found}


def edgesdk(*arguments: object) -> dict[str, Any]:
    """Run a command as a user does, and return what it prints as JSON."""
    command = [sys.executable, "-m", "edgesdk", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def table(found: Mapping[str, Any]) -> str:
    """Return the rows as docs/choosing.md has them: each against the best single one of those that the ensembles are made of."""
    entries = {entry["model"]: entry for entry in found["entries"]}
    top = {name: entry["metrics"]["top1"] for name, entry in entries.items()}
    best = max(_MEMBERS, key=lambda name: top[name]["value"])
    names = {entry["name"]: entry["model"] for entry in found["entries"]}
    pairs = {
        frozenset((names[one["first"]], names[one["second"]])): (names[one["first"]], one)
        for one in found["differences"]
    }
    lines = [
        f"| | ms a picture | right (95 %) | above {best} (95 % each end) | p, of all pairs |",
        "|---|---|---|---|---|",
    ]
    for name, entry in entries.items():
        value, low, high = (top[name][key] for key in ("value", "low", "high"))
        against = _against(name, *pairs[frozenset((name, best))]) if name != best else "| "
        lines.append(f"| {name} | {entry['ms']:.3g} | {value:.4f} ({low:.4f} … {high:.4f}) | {against} |")
    return "\n".join([*lines, "", beside(found["others_pct"])])


def _against(name: str, first: str, pair: Mapping[str, Any]) -> str:
    value, low, high = pair["value"], pair["low"], pair["high"]
    if name != first:
        value, low, high = -value, -high, -low
    return f"{value:+.4f} ({low:+.4f} … {high:+.4f}) | {pair['p_adjusted']:.2g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options_of(parser, "ensemble", 200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgesdk-ensemble-") as name:
        found = measured(options.work, Path(name), options.each, options.steps)
    (_HERE / "results" / "ensemble.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    Marks("table", "benchmarks/ensemble.py").replace(_PAGE, table(found) + "\n")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
