"""Which switch interval of Python lets a pipeline live beside slow user code in its own process.

    python benchmarks/switch_interval.py [--rounds 5] [--seconds 2] [--json FILE]

The model takes 4 ms a frame without Python's lock; the rival runs on a thread of the same process. Shares are of the
rate without a rival at Python's default, measured in the same round.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hook_load.command import measure_and_tell
from hook_load.rivals import RIVALS
from hook_load.rounds import Case, Kept

INTERVALS_S = (0.005, 0.001, 0.0005, 0.0001)


def main() -> None:
    """Measure, print the table, and write the JSON."""
    cases = [Case(rival, "thread", interval_s) for rival in RIVALS for interval_s in INTERVALS_S]
    measure_and_tell("The switch interval, by measurement.", cases, cases[0], table, seconds=2.0)


def table(kept: list[Kept]) -> str:
    """Return the shares as Markdown: a row a rival, a column an interval."""
    shares = {(one.case.rival, one.case.switch_interval_s): f"{one.share:.2f}" for one in kept}
    rows = [f"| {rival} | " + " | ".join(shares[rival, s] for s in INTERVALS_S) + " |" for rival in RIVALS]
    head = "| hook on a thread | " + " | ".join(f"{s * 1e3:g} ms" for s in INTERVALS_S) + " |"
    return "\n".join((head, "|---" * (len(INTERVALS_S) + 1) + "|", *rows))


if __name__ == "__main__":
    main()
