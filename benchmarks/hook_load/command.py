"""The command line of a benchmark of hooks: measure by turns, print the table, write the JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from hook_load.rounds import Case, Kept, measure


def measure_and_tell(
    description: str,
    cases: Sequence[Case],
    reference: Case,
    table: Callable[[list[Kept]], str],
    *,
    seconds: float,
    more: Callable[[], dict[str, object]] = dict,
) -> None:
    """Do what the command line says.

    Args:
        reference: the case without a rival, of which all others are shares.
        table: makes Markdown of what was kept.
        seconds: of each measurement, unless the command line says otherwise.
        more: measures something else afterwards, which it prints, for the JSON.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    kept = measure(cases, reference, rounds=options.rounds, seconds=options.seconds)
    print(table(kept))
    document = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "cases": [one.to_json() for one in kept],
        **more(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
