"""Do several pictures at once pay? Batches of 2 and 4 beside one after the other, three runtimes, by turns.

    python benchmarks/batches.py --assets ASSETS [--rounds 5] [--out benchmarks/results/batches.json]

Three ways to run a model: a stream of one thread on each core, as a film has them; one lane of one thread, and one lane of all
cores, as a chain asks its second model about each crop of a picture, where a batch would hold nothing back. The larger batch is the
same artifact with its batch dimension changed; where a runtime refuses that, or answers otherwise than to each picture alone,
the row says so. Preparing pictures is the same either way, and left out. Ratios are of one round, and of batch 1 in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from batch_load.artifact import Artifact, artifacts_of  # noqa: E402  (the path above comes first)
from batch_load.lanes import Lane, opened  # noqa: E402
from tuning import PICTURES, TARGETS, built  # noqa: E402

from edgesdk.benchmark.host import host_facts  # noqa: E402
from edgesdk_targets.lane_times import time_lanes  # noqa: E402

CORES = len(os.sched_getaffinity(0))
# Way → streams, and threads of each.
WAYS = {"a stream a core": (CORES, 1), "one lane, one thread": (1, 1), "one lane, all cores": (1, CORES)}
BATCHES = (1, 2, 4)
_CLOSE = 1e-2


@dataclass(slots=True)
class Case:
    """One model, precision, runtime and way, with what was measured: by batch, (pictures a second, CPU ms a picture) a round."""

    model: str
    artifact: Artifact
    way: str
    lanes: dict[int, list[Lane]] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    turns: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)

    def open(self) -> None:
        """Open the lanes of each batch that the runtime does rightly."""
        streams, threads = WAYS[self.way]
        for batch in BATCHES:
            try:
                lanes = opened(self.artifact, batch, streams, threads)
                if fault := _fault(self.artifact, batch, lanes[0], self.lanes.get(1)):
                    self.refused[batch] = fault
                    continue
            except Exception as error:  # noqa: BLE001  (a runtime's border: what it cannot do is a row)
                self.refused[batch] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:120]}"
                continue
            self.lanes[batch] = lanes

    def measure(self, seconds: float) -> None:
        """Measure each batch once."""
        for batch, lanes in self.lanes.items():
            taken = time_lanes([lane.run for lane in lanes], seconds, fewest=3, settling=2)
            pictures = batch * sum(map(len, taken.times))
            self.turns.setdefault(batch, []).append((pictures / taken.wall_s, taken.cpu_s / pictures * 1e3))
            self.others.append(taken.others_s / taken.wall_s)

    def to_json(self) -> dict[str, Any]:
        variant = self.artifact.variant
        row: dict[str, Any] = {
            "model": self.model,
            "precision": variant.precision.value,
            "runtime": variant.runtime.value,
            "way": self.way,
            "others_cores": round(statistics.median(self.others), 2) if self.others else None,
        }
        for batch in BATCHES:
            row[f"batch_{batch}"] = self._batch_json(batch)
        return row

    def _batch_json(self, batch: int) -> dict[str, Any]:
        if batch in self.refused:
            return {"why_not": self.refused[batch]}
        if 1 in self.refused:
            return {"why_not": f"One picture alone is refused, so there is nothing to compare with: {self.refused[1]}"}
        turns, alone = self.turns[batch], self.turns[1]
        rates = [one[0] / other[0] for one, other in zip(turns, alone, strict=True)]
        costs = [other[1] / one[1] for one, other in zip(turns, alone, strict=True)]
        return {
            "per_s": round(statistics.median(one[0] for one in turns), 1),
            "rate_ratio": round(statistics.median(rates), 3),
            "worst": round(min(rates), 3),
            "best": round(max(rates), 3),
            "cpu_saved_ratio": round(statistics.median(costs), 3),
        }


def _fault(artifact: Artifact, batch: int, lane: Lane, alone: Sequence[Lane] | None) -> str:
    """Say how the answers to a batch differ from those to each picture alone; nothing where they do not."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (batch, *artifact.shape[1:]))
    given = pictures.astype(np.uint8) if artifact.dtype == np.uint8 else (pictures / 255).astype(artifact.dtype)
    lane.write(given)
    lane.run()
    answers = lane.answers()
    if alone is None:
        return ""
    for number in range(batch):
        alone[0].write(given[number : number + 1])
        alone[0].run()
        for together, single in zip(answers, alone[0].answers(), strict=True):
            if together.shape != (batch, *single.shape[1:]):
                return f"an output is {list(together.shape)}, and {list(single.shape)} for one picture"
            reach = float(np.abs(single).max()) or 1.0
            if float(np.abs(together[number] - single[0]).max()) > _CLOSE * reach:
                return "its answers differ from those to each picture alone"
    return ""


def table(cases: Sequence[Case]) -> str:
    """Return the ratios as Markdown, a row a case: pictures a second, and processor time saved, over batch 1."""
    lines = ["| model | runtime | way | 1: a second | 2: rate, CPU | 4: rate, CPU |", "|---|---|---|---|---|---|"]
    for case in cases:
        row = case.to_json()
        cells = [
            f"{one['rate_ratio']:.2f}, {one['cpu_saved_ratio']:.2f}" if "why_not" not in one else one["why_not"]
            for one in (row["batch_2"], row["batch_4"])
        ]
        first = row["batch_1"].get("per_s", row["batch_1"].get("why_not"))
        lines.append(
            f"| {row['model']} {row['precision']} | {row['runtime']} | {row['way']} | {first} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write the JSON."""
    given = _options()
    with ExitStack() as stack:
        cases = []
        for name in given.models:
            for target in TARGETS:
                bundle = built(name, target, Path(given.assets), given.cache)
                for artifact in stack.enter_context(artifacts_of(bundle)):
                    cases += [Case(name, artifact, way) for way in WAYS]
        for case in cases:
            # One after the other: all lanes of all at once would be gigabytes.
            case.open()
            if 1 in case.lanes:
                for _ in range(given.rounds):
                    case.measure(given.seconds)
            case.lanes.clear()
            print(table([case]).splitlines()[-1], file=sys.stderr, flush=True)
        print(table(cases))
        rows = [case.to_json() for case in cases]
    document = {"rounds": given.rounds, "seconds": given.seconds, "host": host_facts().to_json(), "rows": rows}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=os.environ.get("EDGESDK_ASSETS"))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/tuning_benchmark", help="of tuning.py's bundles")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/batches.json")
    parser.add_argument("--models", nargs="+", default=list(PICTURES), choices=list(PICTURES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    given = parser.parse_args()
    if given.assets is None:
        parser.error("give --assets, the folder of real weights and pictures")
    return given


if __name__ == "__main__":
    main()
