from __future__ import annotations

import logging
import threading

import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import SessionFailed
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


def test_a_stop_delivers_what_was_captured() -> None:
    script, sink = Script(infer_s=0.005), Sink()
    with make(ScriptedCamera(None), script, sink, "every_frame") as pipeline:
        wait_until(lambda: len(sink.results) >= 3, "three results")
        stats = pipeline.stop(PATIENCE_S)
    assert stats.dropped == {}
    assert sink.seqs == list(range(stats.captured))


def test_a_stop_that_takes_too_long_drops_the_rest_and_says_so() -> None:
    script, sink = Script(gated=True), Sink()
    assert script.gate is not None
    pipeline = make(ScriptedCamera(None), script, sink, "every_frame").start()
    assert script.began.acquire(timeout=PATIENCE_S)
    wait_until(lambda: len(script.prepared) == 2, "a prepared frame behind the one in inference")
    stopping = threading.Timer(0.3, script.gate.release, args=(100,))
    stopping.start()
    stats = pipeline.stop(timeout_s=0.05)
    stopping.join()
    assert sink.seqs == [0]
    assert stats.dropped["stopped"] == stats.captured - 1 > 0
    assert_accounts(stats)


def test_a_model_that_does_not_return_is_an_error_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesdk_agent.pipeline.pipeline_end.ABORT_GRACE_S", 0.05)
    script = Script(gated=True)
    assert script.gate is not None
    pipeline = make(ScriptedCamera(None), script, Sink(), "every_frame").start()
    assert script.began.acquire(timeout=PATIENCE_S)
    with pytest.raises(SessionFailed, match=r"edgesdk-infer-1 did not stop"):
        pipeline.stop(timeout_s=0.05)
    script.gate.release(100)


def test_a_camera_that_does_not_return_does_not_hold_up_a_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgesdk_agent.pipeline.pipeline_end.ABORT_GRACE_S", 0.05)
    camera, sink, hang = ScriptedCamera(None), Sink(), threading.Event()
    camera.at = {3: lambda: wait_until(hang.is_set, "the camera's answer")}
    pipeline = make(camera, Script(), sink, "every_frame").start()
    wait_until(lambda: len(sink.results) == 3, "three results")
    with caplog.at_level(logging.WARNING):
        stats = pipeline.stop(timeout_s=0.05)
    assert stats.processed == 3
    assert "waits for its camera" in caplog.text
    hang.set()


def test_a_callback_may_stop_the_pipeline() -> None:
    results: list[int] = []

    def once(result: FrameResult) -> None:
        results.append(result.seq)
        if result.seq == 4:
            pipeline.stop()

    pipeline = make(ScriptedCamera(None), Script(), once, "every_frame")
    with pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert results[:5] == [0, 1, 2, 3, 4]
    assert_accounts(pipeline.stats())


def test_a_pipeline_that_was_never_started_closes_its_camera() -> None:
    camera = ScriptedCamera(3)
    stats = make(camera, Script(), Sink(), "every_frame").stop()
    assert (stats.captured, camera.closed) == (0, 1)
