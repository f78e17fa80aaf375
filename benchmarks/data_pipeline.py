"""Is the stream of pictures faster than a plain loop, and its memory bounded while the set is ten times the cache?

    python benchmarks/data_pipeline.py [--pictures 240] [--rounds 5] [--json]

Drawn JPEGs of 1280 x 960 are read, decoded and brought to 224 x 224, by a plain loop (`cv2.imread`, `cv2.resize`, one
thread), and by `edgesdk.data.stream`: a first epoch with an empty cache and a second one. The three follow each other in each
round, in an order that is drawn anew; ratios are of turns of one round. The cache may hold a tenth of the prepared pictures in
memory, the rest in its file; a row of its own says what memory alone would give. Ends with 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgesdk.data.index.item import Index, Item
from edgesdk.data.index.open_index import open_index
from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.data.stream.pipeline import Pipeline, Unread
from edgesdk.data.stream.stages import Stretch

if TYPE_CHECKING:
    from typing_extensions import Self

FIRST, SECOND = 1.6, 4.0
SIDE = 224
_SIZE = (960, 1280)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SLACK_BYTES = 24 << 20  # allocators, threads' stacks, decoders


def draw_set(folder: Path, count: int) -> None:
    """Write JPEGs with the detail of photos: noise of several widths, another for each."""
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = np.full((*_SIZE, 3), 128.0, np.float32)
        for width in (4, 16, 64, 240):
            small = rng.normal(0, 22, (_SIZE[0] // width + 1, _SIZE[1] // width + 1, 3)).astype(np.float32)
            picture += cv2.resize(small, (_SIZE[1], _SIZE[0]), interpolation=cv2.INTER_CUBIC)
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])


def plain(index: Index) -> int:
    cv2.setNumThreads(1)
    total = 0
    for item in index.items:
        picture = cv2.imread(str(item.path))
        total += int(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[0, 0, 0])
    return total


def epoch(index: Index, cache: FrameCache | None) -> int:
    def first_pixel(_item: Item, picture: Any) -> int:
        return int(picture[0, 0, 0])

    total = 0
    for _, answer in Pipeline(index.items, first_pixel, stages=(Stretch(SIDE, SIDE),), cache=cache, workers=2):
        if isinstance(answer, Unread):
            raise answer.reason
        total += answer
    return total


class Peak:
    """The most resident memory while it runs, above what there was before."""

    def __enter__(self) -> Self:
        self._before = self.most = _resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.most - self._before

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.most = max(self.most, _resident())


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def timed(work: Callable[[], int]) -> tuple[float, int]:
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def one_round(index: Index, memory: int, order: random.Random) -> dict[str, float]:
    turns: dict[str, float] = {}
    answers = set()
    for who in order.sample(["plain", "ours", "memory alone"], 3):
        if who == "plain":
            turns[who], answer = timed(lambda: plain(index))
            answers.add(answer)
            continue
        cache = FrameCache(memory, 16 << 30 if who == "ours" else 0)
        with Peak() as peak:
            turns[f"{who}, first"], first = timed(lambda cache=cache: epoch(index, cache))  # type: ignore[misc]
            turns[f"{who}, second"], second = timed(lambda cache=cache: epoch(index, cache))  # type: ignore[misc]
        turns[f"{who}, growth"] = peak.growth
        answers |= {first, second}
        if cache.bytes_in_memory > memory:
            raise RuntimeError("the cache holds more than it may")
        cache.close()
    if len(answers) != 1:
        raise RuntimeError("they have not all seen the same pixels")
    return turns


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw_set(Path(folder), asked.pictures)
        index = open_index([folder])
        prepared = asked.pictures * SIDE * SIDE * 3
        memory = prepared // 10
        epoch(index, None)  # files in the page cache, threads and decoders begun
        order = random.Random(0)
        rounds = [one_round(index, memory, order) for _ in range(asked.rounds)]
    ratios = {
        name: statistics.median(turns["plain"] / turns[name] for turns in rounds)
        for name in ("ours, first", "ours, second", "memory alone, first", "memory alone, second")
    }
    growth = max(turns["ours, growth"] for turns in rounds)
    # Six pictures are alive at once, each as its file, its pixels and what a decoder needs beside them.
    allowed = memory + 6 * 3 * _SIZE[0] * _SIZE[1] * 2 + _SLACK_BYTES
    good = ratios["ours, first"] >= FIRST and ratios["ours, second"] >= SECOND and growth <= allowed
    told = {
        "pictures": asked.pictures,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "prepared_bytes": prepared,
        "decoded_bytes": asked.pictures * 3 * _SIZE[0] * _SIZE[1],
        "memory_bytes": memory,
        "times_plain": ratios,
        "growth_bytes": growth,
        "allowed_bytes": allowed,
        "rounds": rounds,
        "passed": good,
    }
    if asked.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        for name, ratio in ratios.items():
            print(f"{name:22} {ratio:6.2f} times a plain loop")
        print(f"memory grew by {growth / 1e6:.0f} MB; {allowed / 1e6:.0f} MB allowed")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
