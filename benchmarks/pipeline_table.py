"""Measure the pipeline against its limit and its peers: throughput, age, memory, many cameras.

    python benchmarks/pipeline_table.py [--only A C …] [--rounds 5] [--quick] [--soak 10]

    A  every frame of a film: the practical limit, ours, naive loops, and the libraries that do this
    B  a live camera: how old results are, by the stamp in the pixels, over MJPEG and RTSP
    C  a live camera before a slow model
    D  the pipeline's own cost: around a model that costs nothing
    E  eight RTSP cameras on one model
    F  memory and start
    G  four cameras on one model: fairness
    H  a user's slow code beside the pipeline (hooks.py), and what tuning chose (tuning.py, run before)
    I  memory over ten minutes, or so many as --soak says
    J  two agents at once on one machine: who pins

Programs take turns in one run, so ratios hold whatever the machine is like; each turn waits for a quiet second, and is
repeated when other processes took more than 12 % of a core. Writes `benchmarks/results/pipeline.json`, the tables of
`docs/performance.md` and its plots; parts that were not measured are kept from before. `benchmarks/pipeline/peers_setup`
makes the peers' environments; without them their rows say so. About an hour for all on two cores.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
for place in ("benchmarks", "tests/support"):
    sys.path.insert(0, str(ROOT / place))

if TYPE_CHECKING:
    from pipeline.findings import Findings

PARTS = {
    "A": "every_frame",
    "B": "live",
    "C": "slow_model",
    "D": "own_cost",
    "E": "eight_cameras",
    "F": "footprint",
    "G": "fairness",
    "H": "user_code",
    "I": "growth",
    "J": "two_agents",
}
RESULTS = ROOT / "benchmarks/results/pipeline.json"
PAGE = ROOT / "docs/performance.md"
_PATIENCE_S = 240.0


def main() -> None:
    """Measure what is asked for, and write the files."""
    options = _options()
    from pipeline.artifacts import made_artifacts
    from pipeline.load_guard import LoadGuard
    from pipeline.made import made
    from pipeline.parts.plan import Plan
    from pipeline.workshop import Workshop

    plan = Plan(options.rounds, options.quick, options.soak * 60.0, tuple(options.contestants))
    guard = LoadGuard(0.0, attempts=1) if options.no_guard else LoadGuard(_PATIENCE_S)
    cache = Path(os.environ.get("EDGESDK_BENCHMARK_CACHE") or ROOT / ".cache/pipeline_table")
    out = options.out or (cache / "quick.json" if options.quick or options.contestants else RESULTS)
    document = json.loads(out.read_text("utf-8")) if out.is_file() else {"parts": {}}
    with Workshop(made_artifacts(cache), guard) as workshop:
        for letter in options.only:
            begun = time.monotonic()
            measure = importlib.import_module(f"pipeline.parts.{PARTS[letter]}").measure
            found: Findings = measure(workshop, plan)
            facts = made(options, workshop.broker_kind, found) | {"seconds": round(time.monotonic() - begun)}
            document["parts"][letter] = {**found.to_json(), "made": facts}
            document["parts"] = dict(sorted(document["parts"].items()))
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(f"part {letter} is in {out}", file=sys.stderr)
    publish = out == RESULTS
    from pipeline.page import summary_text, write_page

    print(summary_text(document))
    if publish:
        write_page(PAGE, document)
        print(f"{RESULTS.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="short turns; publishes nothing")
    parser.add_argument(
        "--soak", type=float, default=10.0, metavar="MINUTES", help="part I: watch the agent's memory so long"
    )
    parser.add_argument(
        "--contestants", nargs="+", default=[], metavar="WORD", help="only rows with such a word in them"
    )
    parser.add_argument("--no-guard", action="store_true", help="measure whatever else the machine does")
    parser.add_argument("--out", type=Path, help="write the JSON there; publishes nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
