"""What a shadow run costs the model that runs: the age of its results with one and without, by turns in one run.

    python benchmarks/shadow.py BUNDLE [--seconds 200] [--fps 15] [--share 0.05] [--json]

A detector watches the belt, and its own bundle runs beside it as the candidate all the time. By turns of ten seconds frames
are offered to the shadow run, or not; the time in which its processes start is left out. BUNDLE is the sample detector,
converted for `generic-onnx`. Ends with 1 where the 95th percentile of the age is more than a twentieth higher with it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.embedding import Pipeline
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.shadow.model_process import Bundled
from edgesdk_agent.shadow.next_frame import NextFrame, ShadowedDelivery
from edgesdk_agent.shadow.plan import ShadowPlan
from edgesdk_agent.shadow.run import Pair, ShadowRun, ShadowSettings
from edgesdk_targets.model import load_model
from edgesdk_targets.session import SessionOptions

_TARGET, _TURN_S, _HARM = "generic-onnx", 10.0, 1.05


class ByTurns(NextFrame):
    """Hands frames over while it is open, and keeps the ages of both times apart."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self.counted = 0
        self.ages: dict[bool, list[float]] = {True: [], False: []}

    def offer(self, result: FrameResult) -> bool:
        """Take a result's age, and the result where it is open."""
        self.ages[self.on].append(result.age_s)
        taken = self.on and super().offer(result)
        self.counted += taken
        return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description="The age of results with a shadow run and without.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    frames = ByTurns()
    with load_model(options.bundle, target=_TARGET, options=SessionOptions(threads=1)) as model:
        delivery = ShadowedDelivery(frames, InlineDelivery(_nothing), pictures=False)
        pair = Pair(
            Bundled(options.bundle, _TARGET), Bundled(options.bundle, _TARGET), model.digest, model.manifest.task
        )
        with Pipeline(
            model, f"conveyor:?fps={options.fps:g}", on_result=delivery, policy="freshest", live=True
        ) as pipeline:
            _measure(pipeline, frames, pair, options)
    found = _found(frames, options)
    text = json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {one}" for name, one in found.items())
    sys.stdout.write(text + "\n")
    return int(found["p95_ratio"] > _HARM)


def _measure(pipeline: Pipeline, frames: ByTurns, pair: Pair, options: argparse.Namespace) -> None:
    plan = ShadowPlan(lasts_s=86400, least_s=86400, share=options.share)
    calm = ShadowSettings(apart_s=0.0, look_s=1.0)
    run = ShadowRun(pair, plan, frames, _calm, lasts_s=86400, settings=calm)
    run.start()
    # Its processes start, and its share grows.
    frames.on = True
    pipeline.keep_images(True)
    while not frames.counted:
        time.sleep(0.1)
    time.sleep(_TURN_S)
    frames.counted = 0
    frames.ages = {True: [], False: []}
    for turn in range(max(2, round(options.seconds / _TURN_S))):
        frames.on = turn % 2 == 1
        pipeline.keep_images(frames.on)
        time.sleep(_TURN_S)
    run.stop()


def _calm() -> Facts:
    return Facts(at=time.monotonic(), uptime_s=1.0, age_p95_ms=5.0)


def _found(frames: ByTurns, options: argparse.Namespace) -> dict[str, float]:
    ages = {on: np.asarray(found) * 1e3 for on, found in frames.ages.items()}
    p95 = {on: float(np.percentile(found, 95)) for on, found in ages.items()}
    p50 = {on: float(np.percentile(found, 50)) for on, found in ages.items()}
    return {
        "share": options.share,
        "results_with": len(ages[True]),
        "results_without": len(ages[False]),
        "compared": frames.counted,
        "p50_with_ms": round(p50[True], 3),
        "p50_without_ms": round(p50[False], 3),
        "p95_with_ms": round(p95[True], 3),
        "p95_without_ms": round(p95[False], 3),
        "p95_ratio": round(p95[True] / p95[False], 3),
    }


def _nothing(_result: FrameResult) -> None:
    """Nobody takes the results."""


if __name__ == "__main__":
    sys.exit(main())
