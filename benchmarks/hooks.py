"""How much of its rate a pipeline keeps beside slow user code, by where that code runs.

    python benchmarks/hooks.py [--rounds 5] [--seconds 1.5] [--json FILE]

As it stands, 45 measurements in less than two minutes. The model takes 4 ms a frame without Python's lock. Shares are of
the rate without a rival, measured in the same round.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hook_load.command import measure_and_tell
from hook_load.rivals import RIVALS
from hook_load.rounds import Case, Kept

from edgesdk_agent.pipeline_settings import PipelineSettings

WAYS = ("inline", "thread", "process")


def main() -> None:
    """Measure, print the table, and write the JSON."""
    cases = hook_cases()
    measure_and_tell("What a hook costs, by where it runs.", cases, cases[0], table, seconds=1.5)


def hook_cases() -> list[Case]:
    """Return each rival in each place, with the agent's switch interval; the first is without a rival, inline."""
    interval_s = PipelineSettings().switch_interval_s
    return [Case(rival, way, interval_s) for rival in RIVALS for way in WAYS]


def table(kept: list[Kept]) -> str:
    """Return the shares as Markdown: a row a rival, a column a way."""
    shares = {
        (one.case.rival, one.case.isolation): f"{one.share:.2f} ({one.worst:.2f}..{one.best:.2f})" for one in kept
    }
    rows = [f"| {rival} | " + " | ".join(shares[rival, way] for way in WAYS) + " |" for rival in RIVALS]
    return "\n".join(("| hook | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 1) + "|", *rows))


if __name__ == "__main__":
    main()
