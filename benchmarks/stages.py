"""What a stage costs inline and in a process: a call of it, and the rate that a pipeline keeps beside a slow one.

    python benchmarks/stages.py [--rounds 5] [--seconds 1.5] [--json benchmarks/results/stages.json]

Less than a minute. The rates are of a model that takes 4 ms a frame without Python's lock; a call is of a stage that returns the
picture as it is, again and again.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hook_load.command import measure_and_tell
from hook_load.rivals import show
from hook_load.rounds import Case, Kept

from edgesdk_agent.delivery.asked_frames import FrameAsker
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.frame_filter_process import ProcessFrameFilter
from edgesdk_agent.frame import Frame
from edgesdk_agent.pipeline_settings import PipelineSettings
from edgesdk_targets.tensor import Array

SIZES = {"640x360": (360, 640, 3), "1920x1080": (1080, 1920, 3)}
_CALLS, _WARM_UP = 500, 50


def main() -> None:
    """Measure, print the tables, and write the JSON."""
    cases = stage_cases()
    title = "What a stage costs, by where it runs."
    measure_and_tell(title, cases, cases[0], table, seconds=1.5, more=lambda: {"calls": calls()})


def stage_cases() -> list[Case]:
    """Return a slow stage at each place, before and after the model; the first is without any."""
    interval_s = PipelineSettings().switch_interval_s
    places = [("none", "inline")]
    places += [
        ("2 ms a frame", f"{stage}:{how}") for stage in ("on_frame", "on_result") for how in ("inline", "process")
    ]
    places += [("none", "on_frame:process")]
    return [Case(rival, place, interval_s) for rival, place in places]


def table(kept: list[Kept]) -> str:
    """Return the shares as Markdown."""
    rows = [
        f"| {one.case.rival} | {one.case.isolation} | {one.per_s:.0f} | {one.share:.2f} ({one.worst:.2f}..{one.best:.2f}) |"
        for one in kept
    ]
    return "\n".join(("| stage | where | frames a second | share |", "|---" * 4 + "|", *rows))


def calls() -> list[dict[str, object]]:
    """Measure, print and return what one call takes, by size of the picture."""
    measured: list[dict[str, object]] = []
    for size, shape in SIZES.items():
        image = np.zeros(shape, np.uint8)
        inline = FrameFilter(show)
        asker = ProcessFrameFilter(show).askers({"camera": 3})["camera"]
        asker.open()
        ways: dict[str, Callable[[Frame], object]] = {"inline": inline, "process": partial(_in_turn, asker)}
        for way, call in ways.items():
            took = sorted([_timed(call, image, seq) for seq in range(_WARM_UP + _CALLS)][_WARM_UP:])
            measured.append({
                "size": size, "where": way, "median_ms": round(statistics.median(took) * 1e3, 4),
                "p95_ms": round(took[int(len(took) * 0.95)] * 1e3, 4), "calls": len(took),
            })  # fmt: skip
            print(f"{size} {way}: {measured[-1]['median_ms']} ms, p95 {measured[-1]['p95_ms']} ms")
        asker.close()
    return measured


def _in_turn(asker: FrameAsker, frame: Frame) -> object:
    return asker(frame, frame.seq % 3)


def _timed(call: Callable[[Frame], object], image: Array, seq: int) -> float:
    began = time.perf_counter()
    call(Frame("camera", seq, 0.0, 0.0, image))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
