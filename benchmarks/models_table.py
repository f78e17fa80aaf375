"""Make the table of models: family by precision, each with its accuracy, parity, size and speed.

    python benchmarks/models_table.py [--phase build judge time emulate by_hand parse] [--only NAME …] [--family NAME …]

Writes `benchmarks/results/models.json` and the table in `docs/models.md`. Without `--phase` it makes whatever is missing:
*build* converts each model for each family, *judge* measures the figures of what was built, *time* lets all artifacts of a
model take turns. The first two may run on a busy machine; *time* wants a quiet one, and repeats a turn that others disturb.
*emulate*, which is made only when it is asked for, tries the artifacts on an emulated Raspberry Pi 5, and fetches it first
(150 MB). *by_hand*, likewise, lets each tool's script of a few lines make its INT8 of the same model and pictures, and *parse*
asks TensorRT-RTX, which has to be installed, whether it takes the files for TensorRT.

What is finished is kept in `.cache/models_table`, under a hash of all that it depends on: a run that was broken off goes on
where it was, and a change of the code measures anew what it may have changed. A model that is not kept there stays in the table
as it was committed, with its own date and machine; so does what a board answered about artifacts that are the same still, and
what a script made. Speed that was not measured on the artifacts as they are now is not in the table. Real weights come from the
folder that EDGESDK_ASSETS names (`../shared/assets` beside the repository otherwise).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from table.cases import FAMILIES, ROOT, Places, cases
from table.kept import Kept
from table.making import PHASES, USUAL, Making
from table.page import write_page
from table.progress import Progress
from table.results import as_committed, document, with_committed
from table.timing import Effort

RESULTS = ROOT / "benchmarks/results/models.json"
PAGE = ROOT / "docs/models.md"
_FULL, _QUICK = Effort(rounds=7, turn_s=0.25), Effort(rounds=3, turn_s=0.1)
_QUICK_EVERY = 12


def main() -> None:
    """Make what is asked for, and write the files."""
    options = _options()
    assets = Path(os.environ.get("EDGESDK_ASSETS") or ROOT.parent / "shared/assets")
    places = Places(
        assets if (assets / "SHA256SUMS").is_file() else None,
        ROOT / ".cache/models_table",
        _QUICK_EVERY if options.quick else 1,
    )
    every = cases()
    chosen = [case for case in every if not options.only or case.name in options.only]
    if places.assets is None:
        print(f"no real weights in {assets}: only the sample models", file=sys.stderr)
        chosen = [case for case in chosen if not case.from_assets]
    if not chosen:
        raise SystemExit(f"nothing to measure; there are: {', '.join(case.name for case in every)}")
    kept = Kept(places.own)
    making = Making(places, kept, _QUICK if options.quick else _FULL, again=options.again)
    steps = making.missing(chosen, options.phase, options.family)
    progress = Progress([step for _, step in steps], kept)
    for case, step in steps:
        progress.begin(step)
        making.make(case, step, progress)
    if options.quick:
        target = places.own / "models.json"
        parts = [part for case in chosen if (part := making.part(case))]
        target.write_text(_json(document("python benchmarks/models_table.py --quick", parts)), "utf-8")
        print(f"{target} (a quick table is not published)")
        return
    _publish(making)


def _publish(making: Making) -> None:
    """Write the committed files from everything that is kept; a model that is not stays as it was committed."""
    before = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {"made": {}, "models": []}
    parts, missing = [], []
    for case in cases():
        part, committed = making.part(case), as_committed(before, case.name)
        if part is None:
            part = committed
            print(
                f"{case.name}: not built and judged here; {'stays as it was' if part else 'missing'}", file=sys.stderr
            )
        elif making.stale(case):
            print(f"{case.name}: the code has changed since it was built or judged", file=sys.stderr)
        if part is None:
            missing.append(case.name)
        else:
            parts.append(with_committed(part, committed))
    if missing:
        print(f"not published: {', '.join(missing)} not built and judged yet", file=sys.stderr)
        return
    results = document("python benchmarks/models_table.py", parts)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(_json(results), "utf-8")
    write_page(PAGE, results)
    print(f"{RESULTS.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", nargs="+", choices=PHASES, default=USUAL, help="only these phases")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=(), help="only these models")
    parser.add_argument(
        "--family", nargs="+", choices=FAMILIES, default=tuple(FAMILIES), help="build and try only these"
    )
    parser.add_argument("--again", action="store_true", help="make anew what is there already")
    parser.add_argument("--quick", action="store_true", help="few pictures, short turns; publishes nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
