"""What snapshots cost the lane, on which results are delivered: nothing that grows with the picture, but the one copy of a frame
that somebody asked for."""

from __future__ import annotations

import statistics
import threading
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.evidence.picture_store import PictureStore
from edgesdk_agent.evidence.snapshots import Snapshots
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.frame_data.jpeg_budget import JpegBudget
from edgesdk_agent.privacy.concealment import Concealment
from edgesdk_agent.privacy.picture_exit import PictureExit
from edgesdk_targets.results import Text

HEIGHT, WIDTH = 1080, 1920
FRAME_BYTES = HEIGHT * WIDTH * 3
FRAMES = 400
ROUNDS = 7


def frames() -> list[FrameResult]:
    image = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return [FrameResult("gate", seq, 1.0, 1.7e9, 0.1, 0.01, 0.02, Text("x", 1.0), image) for seq in range(FRAMES)]


def door(takers: Sequence[Snapshots]) -> PictureExit:
    return PictureExit(InlineDelivery(lambda _: None), takers, Concealment({}, {}), inner_sees_pictures=False)


def cost_s(lane: PictureExit, seen: Sequence[FrameResult]) -> float:
    """Return the processor time of this thread, the lane's, for all frames."""
    began = time.thread_time()
    for result in seen:
        lane(result)
    return time.thread_time() - began


def test_snapshots_that_nobody_asks_for_cost_the_lane_next_to_nothing() -> None:
    """Measured against copying the same frames, which is what it would be to keep each: interleaved, by the ratio."""
    snapshots = Snapshots(JpegBudget(50_000), annotate=None, per_minute=60)
    seen = frames()
    on, off, room = door([snapshots]), door([]), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    extra, copies = [], []
    for _ in range(ROUNDS):
        extra.append(cost_s(on, seen) - cost_s(off, seen))
        began = time.thread_time()
        for result in seen[:20]:
            assert result.image is not None
            np.copyto(room, result.image)
        copies.append((time.thread_time() - began) / 20 * FRAMES)
    assert statistics.median(extra) < 0.05 * statistics.median(copies)


def test_a_snapshot_costs_the_lane_one_copy_and_everything_else_happens_elsewhere(tmp_path: Path) -> None:
    """Drawing, compressing to a budget and writing take many times a copy, and none of it is the lane's."""
    on_threads: set[str] = set()

    measured = threading.Event()

    def annotate(_result: FrameResult) -> None:
        # What the other thread allocates is not to be seen in what the lane does.
        assert measured.wait(20)
        on_threads.add(threading.current_thread().name)

    def keep(*_: object) -> None:
        on_threads.add(threading.current_thread().name)

    store = PictureStore(tmp_path, keep_s=60, max_bytes=1 << 30, wall=lambda: 1.7e9)
    snapshots = Snapshots(JpegBudget(60_000), annotate=annotate, per_minute=600, store=store, on_kept=keep)
    snapshots.start()
    lane, seen = door([snapshots]), frames()
    lane_s, whole_s, grown = [], [], []
    for turn in range(6):
        measured.clear()
        asked = snapshots.ask("gate")
        assert asked is not None
        tracemalloc.start()
        lane_s.append(cost_s(lane, seen[:1]))
        grown.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        began = time.monotonic()
        measured.set()
        assert asked.done.wait(20)
        whole_s.append(time.monotonic() - began)
        assert asked.problem is None, turn
    snapshots.close()
    assert on_threads == {"edgesdk-snapshots"}
    # The rooms are made by the first pictures, and used again: after that nothing of a frame's size is allocated.
    assert max(grown[3:]) < FRAME_BYTES / 100
    assert statistics.median(lane_s[3:]) < 0.2 * statistics.median(whole_s[3:])
