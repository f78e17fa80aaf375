"""How much of its rate a pipeline keeps beside slow user code, by where that code runs.

    python benchmarks/hooks.py [--rounds 5] [--seconds 1.5] [--json FILE]

As it stands, 45 measurements in less than two minutes. The model takes 4 ms a frame without Python's lock. Shares are of
the rate without a rival, measured in the same round.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hook_load.rivals import RIVALS
from hook_load.rounds import Case, Kept, measure

from edgesdk_agent.pipeline_settings import PipelineSettings

WAYS = ("inline", "thread", "process")


def main() -> None:
    """Measure, print the table, and write the JSON."""
    options = _options()
    interval_s = PipelineSettings().switch_interval_s
    cases = [Case(rival, way, interval_s) for rival in RIVALS for way in WAYS]
    kept = measure(cases, Case("none", "inline", interval_s), rounds=options.rounds, seconds=options.seconds)
    print(table(kept))
    if options.json is not None:
        document = {"rounds": options.rounds, "seconds": options.seconds, "cases": [one.to_json() for one in kept]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def table(kept: list[Kept]) -> str:
    """Return the shares as Markdown: a row a rival, a column a way."""
    shares = {
        (one.case.rival, one.case.isolation): f"{one.share:.2f} ({one.worst:.2f}..{one.best:.2f})" for one in kept
    }
    rows = [f"| {rival} | " + " | ".join(shares[rival, way] for way in WAYS) + " |" for rival in RIVALS]
    return "\n".join(("| hook | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 1) + "|", *rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a hook costs, by where it runs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
