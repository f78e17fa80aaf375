"""What goes wrong at the worst moment: clear errors or clean adaptation, counted, and never a deadlock."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.delivery.thread import ThreadDelivery
from edgesdk_agent.embedding import Pipeline as ModelPipeline
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import POLICIES, slots_wanted
from edgesdk_targets.errors import EdgeError, SessionFailed
from edgesdk_targets.model import load_model
from edgesdk_targets.tensor import Array
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until
from edgesdk_testkit.tiny_bundles import write_tiny_bundle
from edgesdk_testkit.tiny_models import CNN, PIXELS, SIDE, WIDE, WIDE_SIDE


def test_a_thousand_pipelines_start_swap_and_stop() -> None:
    turns = random.Random(7)
    for number in range(1_000):
        policy, lanes, cameras = turns.choice(POLICIES), turns.choice((1, 1, 2, 3)), turns.choice((1, 1, 2, 3))
        script, sink = Script(), Sink()
        if turns.random() < 0.1:
            script.fail_infer[turns.randrange(4)] = SessionFailed("The runtime failed.")
        named = {f"{n}": ScriptedCamera(turns.choice((None, 3, 10))) for n in range(cameras)}
        pipeline = make(named, script, sink, policy, lanes=lanes, keep_image=turns.random() < 0.3).start()
        try:
            if turns.random() < 0.5:
                wait_until(lambda p=pipeline, s=sink: bool(s.results) or p.wait(0), "a result")  # type: ignore[misc]
            if turns.random() < 0.3:
                pipeline.pause()
            if turns.random() < 0.7:
                after = turns.choice((1, 2))
                pipeline.swap_slots(Script().slots(slots_wanted((policy,) * cameras, after)), PATIENCE_S, lanes=after)
            pipeline.stop(PATIENCE_S)
        except SessionFailed:
            assert script.fail_infer
            wait_until(lambda p=pipeline: p.stats().in_flight == 0, "the frames in flight")  # type: ignore[misc]
        stats = pipeline.stats()
        assert_accounts(stats)
        assert stats.processed == len(sink.results), number
    # Threads that end are gone a moment later; that none stays is checked after each test.


def test_forty_pipelines_on_real_models_with_hooks_on_threads_leave_nothing_open(tmp_path: Path) -> None:
    turns, paths = random.Random(8), [write_tiny_bundle(tmp_path / model.name, model) for model in (CNN, WIDE)]
    with load_model(paths[0]) as small, load_model(paths[1]) as wide:

        def run_one() -> None:
            sink, frames = Sink(), turns.choice((1, 5, None))
            cameras = {f"{n}": SyntheticCamera(width=64, height=48, frames=frames) for n in range(turns.choice((1, 2)))}
            hook = ThreadDelivery(sink, queue=2, when_full="wait", timeout_s=PATIENCE_S)
            pipeline = ModelPipeline(small, cameras, on_result=hook, policy=turns.choice(POLICIES)).start()
            if turns.random() < 0.7:
                wait_until(lambda: bool(sink.results) or pipeline.wait(0), "a result")
            if turns.random() < 0.5:
                pipeline.swap(wide, PATIENCE_S)
            stats = pipeline.stop(PATIENCE_S)
            assert_accounts(stats)
            assert stats.processed == len(sink.results)

        # What a first one opens once, such as a runtime's own, is no leak.
        run_one()
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        for _ in range(40):
            run_one()
        # Fewer where an earlier test's file is closed meanwhile, with its object.
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before


def test_a_hook_that_blocks_for_ever_is_an_error_of_the_stop_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesdk_agent.pipeline.pipeline_end.ABORT_GRACE_S", 0.05)
    for_ever, entered = threading.Event(), threading.Event()

    def hook(_: FrameResult) -> None:
        entered.set()
        for_ever.wait()

    pipeline = make(ScriptedCamera(None), Script(), hook, "every_frame", lanes=2).start()
    assert entered.wait(PATIENCE_S)
    with pytest.raises(SessionFailed, match=r"edgesdk-infer-\d did not stop") as caught:
        pipeline.stop(0.05)
    assert "hook" in caught.value.hint
    for_ever.set()
    wait_until(lambda: pipeline.stats().in_flight == 0, "the frames in flight")
    assert_accounts(pipeline.stats())


def test_a_hook_that_blocks_for_ever_on_a_thread_of_its_own_holds_nothing_up() -> None:
    for_ever = threading.Event()
    hook = ThreadDelivery(lambda _: for_ever.wait(), queue=2, when_full="drop_oldest", timeout_s=0.05)
    with make(ScriptedCamera(400), Script(infer_s=0.0005), hook, "every_frame", lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert stats.processed == 400
    assert stats.callback_errors == 1
    assert stats.results_dropped >= 390
    for_ever.set()


class Changing(SyntheticCamera):
    """Changes its resolution in mid-stream, there and back."""

    def __init__(self, sizes: list[tuple[int, int]], each: int) -> None:
        super().__init__(width=32, height=16, frames=len(sizes) * each)
        self._sizes, self._each, self._reads = sizes, each, 0
        self.offered: list[bool] = []

    def read(self, out: Array | None) -> Array | None:
        if self._reads == len(self._sizes) * self._each:
            return None
        width, height = self._sizes[self._reads // self._each]
        self._reads += 1
        fits = out is not None and out.shape == (height, width, 3)
        self.offered.append(fits)
        picture = out if out is not None and fits else np.empty((height, width, 3), np.uint8)
        picture[...] = self._reads
        return picture


def test_a_camera_that_changes_its_resolution_is_followed_and_cells_are_made_anew_once(tmp_path: Path) -> None:
    camera, sink = Changing([(64, 48), (32, 80), (64, 48)], each=60), Sink()
    with (
        load_model(write_tiny_bundle(tmp_path / "a", PIXELS)) as model,
        ModelPipeline(model, camera, on_result=sink, policy="every_frame") as pipeline,
    ):
        assert pipeline.wait(PATIENCE_S)
        # The answer is of the right picture, whatever the size before it was.
        for result in sink.results:
            width, height = camera._sizes[result.seq // 60]
            alone = model(np.full((height, width, 3), result.seq + 1, np.uint8))
            np.testing.assert_allclose(result.result.scores, alone.scores, atol=1e-5)  # type: ignore[union-attr]
    assert sink.seqs == list(range(180))
    # Every cell is offered once in the wrong size after a change, and then never again.
    cells = len(pipeline._lines[0].free)
    assert cells < 30
    assert all(camera.offered[n : n + 60].count(False) <= cells for n in (0, 60, 120))


class Hurrying(SyntheticCamera):
    """Changes its rate in mid-stream: quick, slow, and quicker than before."""

    def __init__(self, periods_s: tuple[float, ...], each: int) -> None:
        super().__init__(width=32, height=16, frames=len(periods_s) * each)
        self._info = replace(self._info, live=True)
        self._periods_s, self._each, self._reads, self._never = periods_s, each, 0, threading.Event()

    def read(self, out: Array | None) -> Array | None:
        if self._reads < len(self._periods_s) * self._each:
            self._never.wait(self._periods_s[self._reads // self._each])
        self._reads += 1
        return super().read(out)


def test_a_camera_that_changes_its_rate_gets_what_the_model_can_do_at_each() -> None:
    each, sink = 40, Sink()
    camera = Hurrying((0.002, 0.03, 0.001), each)
    with make(camera, Script(infer_s=0.006), sink) as pipeline:
        assert pipeline.policies == {"camera": "freshest"}
        assert pipeline.wait(PATIENCE_S)
    assert_accounts(pipeline.stats())
    assert sink.seqs == sorted(set(sink.seqs))
    assert sink.seqs[-1] == 3 * each - 1, "the newest frame was not the last one reported"
    quick, slow, quicker = (sum(seq // each == part for seq in sink.seqs) for part in range(3))
    # The model keeps step with the slow part, and with neither of the others.
    assert slow > 1.3 * max(quick, quicker), (quick, slow, quicker)


def test_a_model_of_another_input_size_takes_over(tmp_path: Path) -> None:
    small, wide = (write_tiny_bundle(tmp_path / model.name, model) for model in (CNN, WIDE))
    sink = Sink()
    camera = SyntheticCamera(width=160, height=120)
    with (
        load_model(small) as old,
        load_model(wide) as new,
        ModelPipeline(old, camera, on_result=sink, policy="every_frame") as pipeline,
    ):
        wait_until(lambda: len(sink.results) > 5, "results of the old model")
        pipeline.swap(new, PATIENCE_S)
        old.close()
        seen = len(sink.results)
        wait_until(lambda: len(sink.results) > seen + 5, "results of the new model")
        stats = pipeline.stop(PATIENCE_S)
    assert (old.manifest.preprocess.size[0], new.manifest.preprocess.size[0]) == (SIDE, WIDE_SIDE)  # type: ignore[union-attr]
    assert sink.seqs == list(range(stats.captured))
    assert_accounts(stats)


def test_a_file_that_is_cut_off_ends_with_what_could_be_read(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for number in range(60):
        writer.write(np.full((48, 64, 3), 4 * number, np.uint8))
    writer.release()
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    counts = {}
    with load_model(write_tiny_bundle(tmp_path / "a")) as model:
        for path in (whole, cut):
            sink = Sink()
            pipeline = ModelPipeline(model, path, on_result=sink)
            # Whether a cut file ends, or ends with an error, is the container's choice.
            with suppress(EdgeError), pipeline:
                pipeline.wait(PATIENCE_S)
            assert_accounts(pipeline.stats())
            counts[path.stem] = len(sink.results)
    assert counts["whole"] == 60
    assert 0 < counts["cut"] < 60


def test_a_slot_that_needs_the_picture_sees_it_until_its_answer() -> None:
    seen: list[tuple[int, int]] = []

    class Looking:
        needs_image = True

        def prepare(self, image: Array) -> None:
            self._image = image

        def infer(self, camera: str, seq: int) -> None:
            threading.Event().wait(0.001)
            seen.append((seq, int.from_bytes(bytes(self._image[0, :4, 0].tolist()), "big")))

    slots = [Looking() for _ in range(slots_wanted(("every_frame",), 2))]
    with Pipeline(slots, ScriptedCamera(60), on_result=Sink(), policy="every_frame", lanes=2) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sorted(seen) == [(n, n) for n in range(60)]
