"""The stream keeps order and bounds; a bad file ends nothing; the cache keeps what it may and no more."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edgesdk.data.index.item import Item
from edgesdk.data.index.open_index import open_index
from edgesdk.data.stream.frame_cache import FrameCache
from edgesdk.data.stream.frame_file import on_a_disk
from edgesdk.data.stream.pipeline import Pipeline, Unread
from edgesdk.data.stream.read_ahead import in_order, threads
from edgesdk.data.stream.stages import FitWithin, Stretch
from edgesdk_targets.tensor import Array
from edgesdk_testkit.picture_sets import huge_png, scene, write_picture
from edgesdk_testkit.small_disk import small_disk


def test_answers_come_in_order_and_jobs_are_taken_no_further_ahead_than_asked() -> None:
    taken = farthest = 0

    def jobs() -> object:
        nonlocal taken
        for number in range(200):
            taken += 1
            yield number

    # The first job waits for the second: order is kept although the answers come the other way round.
    second_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_done.wait(60)
        if number == 1:
            second_done.set()
        return number

    answers = []
    for answered, answer in enumerate(in_order(jobs(), work, workers=3, ahead=7)):  # type: ignore[arg-type]
        answers.append(answer)
        farthest = max(farthest, taken - answered)
    assert answers == list(range(200))
    assert farthest <= 7


def test_a_stream_that_is_left_early_ends_its_threads() -> None:
    before = threading.active_count()
    stream = in_order(range(1000), lambda number: number, workers=4, ahead=8)
    next(iter(stream))
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_fault_of_the_work_itself_is_not_swallowed(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", scene(0))

    def work(_item: Item, _picture: Array) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Pipeline(open_index([tmp_path]).items, work))


def test_a_bad_file_is_told_in_its_place(tmp_path: Path) -> None:
    for number in range(6):
        write_picture(tmp_path / f"{number}.png", scene(number))
    (tmp_path / "2.png").write_bytes(huge_png())
    (tmp_path / "4.png").write_bytes(b"")
    told: list[str] = []
    answers = dict(Pipeline(open_index([tmp_path]).items, lambda _i, p: p.shape, progress=told.append))
    bad = {item.name for item, answer in answers.items() if isinstance(answer, Unread)}
    assert bad == {"2.png", "4.png"}
    assert len(answers) == 6
    assert told == ["6 of 6 pictures"]


@pytest.mark.parametrize("disk", [0, 1 << 20], ids=["memory", "memory-and-file"])
def test_a_second_pass_sees_the_same_pixels_and_reads_what_is_kept_only_once(tmp_path: Path, disk: int) -> None:
    for number in range(10):
        write_picture(tmp_path / f"{number}.png", scene(number))
    size = 32 * 32 * 3
    cache = FrameCache(memory_bytes=4 * size, disk_bytes=disk)
    stream = Pipeline(open_index([tmp_path]).items, lambda _i, p: p.copy(), stages=(Stretch(32, 32),), cache=cache)
    first = {item.name: answer for item, answer in stream}
    assert cache.bytes_in_memory == 4 * size
    assert cache.bytes_on_disk == (6 * size if disk else 0)
    for path in tmp_path.glob("*.png"):
        path.write_bytes(b"gone")  # what is not kept is read again, and this shows it
    second = {item.name: answer for item, answer in stream}
    kept = {name for name, answer in second.items() if not isinstance(answer, Unread)}
    assert len(kept) == (10 if disk else 4)
    for name in kept:
        np.testing.assert_array_equal(first[name], second[name])
    cache.close()
    assert len(cache) == 0


def test_a_full_disk_ends_the_keeping_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FrameCache(memory_bytes=0, disk_bytes=1 << 20)
    cache.put("a", np.arange(10))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        cache.put("b", np.arange(10))
    cache.put("c", np.arange(10))
    kept = cache.get("a")
    assert kept is not None
    np.testing.assert_array_equal(kept, np.arange(10))
    assert cache.get("b") is cache.get("c") is None
    cache.close()


def test_the_file_leaves_as_much_free_as_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1000]
    monkeypatch.setattr("os.fstatvfs", lambda _: SimpleNamespace(f_bavail=free[0], f_frsize=1))
    cache = FrameCache(memory_bytes=0, folder=tmp_path / "made")
    for number in range(20):
        before = cache.bytes_on_disk
        cache.put(str(number), np.zeros(100, np.uint8))
        free[0] -= cache.bytes_on_disk - before
        if number == 1:
            free[0] -= 200  # somebody else's
    # Of 1000 bytes others have taken 200: half of the rest may be the cache's, and once it ended it stays so.
    assert (cache.bytes_on_disk, len(cache), free[0]) == (400, 4, 400)
    free[0] = 10_000
    cache.put("later", np.zeros(100, np.uint8))
    assert "later" not in cache
    assert not list((tmp_path / "made").iterdir()), "it has no name"
    cache.close()


def test_a_cache_that_nobody_closes_gives_its_file_back(tmp_path: Path) -> None:
    def files() -> list[str]:
        return [name for one in Path("/proc/self/fd").iterdir() if str(tmp_path) in (name := os.path.realpath(one))]

    cache = FrameCache(memory_bytes=0, folder=tmp_path)
    cache.put("a", np.arange(10))
    assert len(files()) == 1
    del cache
    gc.collect()
    assert not files()


def test_nothing_is_put_aside_in_memory_under_the_name_of_a_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as memory:
        cache, other = FrameCache(memory_bytes=0, folder=memory), FrameCache(memory_bytes=0, folder=tmp_path)
        for one in (cache, other):
            one.put("a", np.arange(10))
        assert len(cache) == cache.bytes_on_disk == 0
        assert on_a_disk(memory) is None
        assert len(other) == 1
        other.close()


def test_frames_are_the_same_read_forwards_and_sought(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for number in range(600):
        writer.write(np.full((60, 80, 3), number % 250, np.uint8))
    writer.release()
    for every in (1, 300):
        seen = [int(p) for _, p in Pipeline(open_index([path], every=every).items, lambda _i, p: p[30, 40, 0])]  # type: ignore[call-overload]
        assert np.abs(np.asarray(seen) - np.arange(0, 600, every) % 250).max() <= 2


def test_stages() -> None:
    wide = scene(0, (50, 200))
    assert FitWithin(100)(wide).shape == (25, 100, 3)
    assert FitWithin(400)(wide) is wide
    assert Stretch(32, 48)(wide).shape == (32, 48, 3)


def test_there_is_one_default_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    assert threads(None) == 3
    assert threads(1) == 1
