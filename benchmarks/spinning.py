"""What it costs and gives that ONNX Runtime's threads spin: always, within an inference, never; by turns, at two paces.

    python benchmarks/spinning.py --assets ASSETS [--rounds 6] [--seconds 0.6] [--out benchmarks/results/spinning.json]

One stream of two threads runs one picture after the other, and at a camera's 30 a second; two streams of one thread, where
there is nobody to spin, are the control. Each turn opens its session anew, so that no other one's threads spin beside it.
The table is that of docs/decisions/0017.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from tuning import built  # noqa: E402  (the path above comes first)

from edgesdk.benchmark.host import host_facts  # noqa: E402
from edgesdk_targets.bundle.bundle import Bundle, open_bundle  # noqa: E402
from edgesdk_targets.lane_times import time_lanes  # noqa: E402
from edgesdk_targets.session import SessionOptions, Spin, open_session  # noqa: E402
from edgesdk_targets.target import Runtime  # noqa: E402

MODELS = {"fastestdet": "fp32", "mobilenet_v2": "int8"}
SPINS: tuple[Spin, ...] = get_args(Spin)
FPS = 30.0
# (threads, streams, pictures a second; 0 is one after the other)
WAYS = ((2, 1, 0.0), (2, 1, FPS), (1, 2, 0.0))
_FEWEST, _SETTLING = 5, 5


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over turns.

    Attributes:
        fps: of the source; 0 runs one picture after the other.
        p50_ms, p95_ms: of an inference.
        cpu_ms: processor time a picture, whatever spins between pictures included.
        per_s: pictures a second, of all streams.
        others_cores: the most that other processes took in a turn.
    """

    model: str
    spin: Spin
    threads: int
    streams: int
    fps: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    per_s: float
    others_cores: float


def turn(bundle: Bundle, precision: str, spin: Spin, way: tuple[int, int, float], seconds: float) -> list[float]:
    """Return p50, p95 and processor time in ms, pictures a second, and what others took, of one turn."""
    threads, streams, fps = way
    variant = next(one for one in bundle.manifest.variants if one.precision.value == precision)
    options = SessionOptions(threads=threads, streams=streams, spin=spin)
    session = open_session(bundle, variant, runtime=Runtime.ONNXRUNTIME, options=options)
    try:
        bindings = session.bind(streams)
        for binding in bindings:
            for spec in session.inputs:
                binding.inputs[spec.name][...] = np.random.default_rng(0).integers(0, 2, spec.shape)
        lanes = [binding.run for binding in bindings]
        taken = time_lanes(lanes, seconds, fewest=_FEWEST, settling=_SETTLING, period_s=1 / fps if fps else 0.0)
    finally:
        session.close()
    each = np.concatenate([np.asarray(times) for times in taken.times]) * 1e3
    others = taken.others_s / taken.wall_s
    return [*np.percentile(each, [50, 95]), taken.cpu_s * 1e3 / len(each), len(each) / taken.wall_s, others]


def measured(model: str, path: Path, rounds: int, seconds: float) -> Iterator[Row]:
    """Measure a model's ways of waiting by turns; each round begins with another one."""
    ways = [(spin, way) for way in WAYS for spin in SPINS]
    found: dict[tuple[Spin, tuple[int, int, float]], list[list[float]]] = {way: [] for way in ways}
    with open_bundle(path) as bundle:
        for number in range(rounds):
            place = number % len(ways)
            for spin, way in [*ways[place:], *ways[:place]]:
                found[spin, way].append(turn(bundle, MODELS[model], spin, way, seconds))
    for (spin, (threads, streams, fps)), turns in found.items():
        *figures, others = zip(*turns, strict=True)
        middle = [round(statistics.median(values), 3) for values in figures]
        yield Row(model, spin, threads, streams, fps, *middle, others_cores=round(max(others), 2))


def table(rows: list[Row]) -> str:
    """Return the figures as Markdown."""
    lines = ["| | p50 / p95 | processor time | pictures a second |", "|---|---|---|---|"]
    for row in rows:
        pace = f"at {row.fps:g} a second" if row.fps else "one after the other"
        name = f"{row.model}, {row.streams} x {row.threads} threads, {pace}, spinning {row.spin}"
        lines.append(f"| {name} | {row.p50_ms:.2f} / {row.p95_ms:.2f} ms | {row.cpu_ms:.1f} ms | {row.per_s:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--assets", type=Path, default=os.environ.get("EDGESDK_ASSETS"))
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/tuning_benchmark")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/spinning.json")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=0.6)
    given = parser.parse_args()
    if given.assets is None:
        parser.error("give --assets, the folder of real weights and pictures")
    rows: list[Row] = []
    for model in MODELS:
        path = built(model, "generic-onnx", Path(given.assets), given.cache)
        rows += measured(model, path, given.rounds, given.seconds)
    document = {
        "rounds": given.rounds,
        "seconds": given.seconds,
        "host": host_facts().to_json(),
        "rows": [asdict(row) for row in rows],
    }
    given.out.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
