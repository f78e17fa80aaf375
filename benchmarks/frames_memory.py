"""Does memory grow with the frames? The null-model pipeline, a million frames, and the memory before and after.

    python benchmarks/frames_memory.py [--frames 1000000] [--json]

Everything but the model is real: capture thread, hand-over, preprocess thread, lane, delivery, meters. Ends with 1 where
memory grew by a megabyte or more after the warm-up (a tenth of the frames).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

ALLOWED_BYTES = 1_000_000
_SHAPE = (48, 64, 3)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class CountedCamera:
    """So many pictures, as fast as they are taken; they are not written."""

    def __init__(self, frames: int) -> None:
        from edgesdk_agent.cameras.camera import CameraInfo

        self.info = CameraInfo(_SHAPE[1], _SHAPE[0], None, live=False, description="counted")
        self._left = frames

    def read(self, out: Any) -> Any:
        self._left -= 1
        return out if self._left >= 0 else None

    def close(self) -> None:
        self._left = 0


class NullSlot:
    """A model that answers at once; `keep` makes it leak so many bytes a frame, as a control."""

    needs_image = False

    def __init__(self, answer: Any, keep: int, kept: list[bytes]) -> None:
        self._answer = answer
        self._keep = keep
        self._kept = kept

    def prepare(self, image: Any) -> None:
        pass

    def infer(self, camera: str, seq: int) -> Any:  # noqa: ARG002
        if self._keep:
            self._kept.append(os.urandom(self._keep))
        return self._answer


def measure(frames: int, *, leak_bytes: int = 0) -> dict[str, Any]:
    """Run `frames` frames, and return the memory after the warm-up and at the end, bytes."""
    from edgesdk_agent.pipeline.pipeline import Pipeline
    from edgesdk_agent.pipeline.policy import slots_wanted
    from edgesdk_agent.pipeline_settings import apply_pipeline_settings
    from edgesdk_targets.results import Regression

    apply_pipeline_settings()
    answer, kept, seen, at = Regression(np.zeros(1, np.float32)), [], [0], {}
    slots = [NullSlot(answer, leak_bytes, kept) for _ in range(slots_wanted(("every_frame",), 1))]
    began = time.perf_counter()

    def count(_result: object) -> None:
        seen[0] += 1
        if seen[0] in {frames // 10, frames}:
            gc.collect()
            at[seen[0]] = _rss()

    with Pipeline(slots, CountedCamera(frames), on_result=count) as pipeline:
        pipeline.wait()
        stats = pipeline.stats()
    warm, end = at[frames // 10], at[frames]
    return {
        "frames": stats.processed,
        "seconds": round(time.perf_counter() - began, 1),
        "rss_after_warm_up_bytes": warm,
        "rss_at_end_bytes": end,
        "grown_bytes": end - warm,
    }


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--leak-bytes", type=int, default=0, help="a frame, to see that it is found")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.frames, leak_bytes=options.leak_bytes)
    print(json.dumps(found) if options.json else f"{found['frames']:,} frames: {found['grown_bytes']:+,} bytes")
    raise SystemExit(0 if found["grown_bytes"] < ALLOWED_BYTES else 1)
