"""What looking at frames costs, in microseconds a frame, by rule, and how much memory it takes while it runs.

    python benchmarks/frame_data.py [--frames 300] [--size 1920x1080] [--json FILE]

The rules are measured by turns on the same pictures, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

from edgesdk_agent.frame import Frame
from edgesdk_agent.frame_data.frame_gate import FrameGate
from edgesdk_agent.frame_data.frame_rules import FrameRules
from edgesdk_agent.pipeline_settings import apply_pipeline_settings

RULES = {
    "deduplicate: motion": FrameRules(deduplicate="motion"),
    "deduplicate: hash": FrameRules(deduplicate="hash"),
    "drop_corrupt": FrameRules(drop_corrupt=True),
    "drop_black": FrameRules(drop_black=True),
    "drop_overexposed": FrameRules(drop_overexposed=True),
    "drop_blurred": FrameRules(drop_blurred=True),
    "all": FrameRules(
        drop_corrupt=True, drop_black=True, drop_overexposed=True, drop_blurred=True, deduplicate="motion"
    ),
}


def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description="What looking at frames costs.")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="1920x1080", help="WIDTHxHEIGHT")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    apply_pipeline_settings()
    told = measured(options.frames, width, height)
    lines = [
        f"| {name} | {row['p50_us']:.0f} | {row['p95_us']:.0f} | {row['peak_bytes']} |" for name, row in told.items()
    ]
    head = "| rule | p50, us a frame | p95 | most memory at work, bytes |\n|---|---|---|---|"
    sys.stdout.write("\n".join([head, *lines, ""]))
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "rules": told}, indent=2))


def measured(count: int, width: int, height: int) -> dict[str, dict[str, float]]:
    """Return for each rule what a frame costs, and the most memory that it held at once."""
    random = np.random.default_rng(1)
    pictures = [random.integers(40, 220, (height, width, 3), dtype=np.uint8) for _ in range(4)]
    gates = {name: FrameGate(rules) for name, rules in RULES.items()}
    times: dict[str, list[float]] = {name: [] for name in RULES}
    for number in range(count + 1):
        frame = Frame("camera", number, number / 30, number / 30, pictures[number % len(pictures)])
        for name, gate in gates.items():
            began = time.perf_counter()
            gate(frame)
            if number:
                times[name].append(time.perf_counter() - began)
    return {
        name: {
            "p50_us": round(float(np.percentile(taken, 50)) * 1e6, 1),
            "p95_us": round(float(np.percentile(taken, 95)) * 1e6, 1),
            "peak_bytes": _peak(gates[name], frame),
        }
        for name, taken in times.items()
    }


def _peak(gate: FrameGate, frame: Frame) -> int:
    tracemalloc.start()
    try:
        gate(frame)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    main()
