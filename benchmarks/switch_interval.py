"""Which switch interval of Python lets a pipeline live beside slow user code in its own process.

    python benchmarks/switch_interval.py [--rounds 5] [--seconds 2] [--json FILE]

The model takes 4 ms a frame without Python's lock; the rival runs on a thread of the same process. Shares are of the
rate without a rival at Python's default, measured in the same round.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hook_load.rivals import RIVALS
from hook_load.rounds import Case, Kept, measure

INTERVALS_S = (0.005, 0.001, 0.0005, 0.0001)


def main() -> None:
    """Measure, print the table, and write the JSON."""
    options = _options()
    cases = [Case(rival, "thread", interval_s) for rival in RIVALS for interval_s in INTERVALS_S]
    kept = measure(cases, cases[0], rounds=options.rounds, seconds=options.seconds)
    print(table(kept))
    if options.json is not None:
        document = {"rounds": options.rounds, "seconds": options.seconds, "cases": [one.to_json() for one in kept]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def table(kept: list[Kept]) -> str:
    """Return the shares as Markdown: a row a rival, a column an interval."""
    shares = {(one.case.rival, one.case.switch_interval_s): f"{one.share:.2f}" for one in kept}
    rows = [f"| {rival} | " + " | ".join(shares[rival, s] for s in INTERVALS_S) + " |" for rival in RIVALS]
    head = "| hook on a thread | " + " | ".join(f"{s * 1e3:g} ms" for s in INTERVALS_S) + " |"
    return "\n".join((head, "|---" * (len(INTERVALS_S) + 1) + "|", *rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The switch interval, by measurement.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
