from __future__ import annotations

import pytest

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline import Policy
from edgesdk_agent.pipeline.policy import POLICIES
from edgesdk_targets.errors import CameraLost, EdgeError, InputError, NoSpace, SessionFailed
from edgesdk_testkit.pipelines import ScriptedCamera, Sink, assert_accounts, make, no_threads_left
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


def test_a_failing_callback_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fails(result: FrameResult) -> None:
        if result.seq % 2:
            raise ValueError("the callback's own fault")

    with make(ScriptedCamera(10), Script(), fails, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert (stats.processed, stats.callback_errors) == (10, 5)
    assert len([r for r in caplog.records if "hook on_result is failing" in r.getMessage()]) == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_a_lost_camera_ends_the_pipeline_with_its_error(policy: Policy) -> None:
    camera, sink = ScriptedCamera(None), Sink()
    camera.at = {5: CameraLost("The camera is gone.", hint="Plug it in.")}
    pipeline = make(camera, Script(), sink, policy)
    with pytest.raises(CameraLost, match="The camera is gone") as caught, pipeline:
        pipeline.wait(PATIENCE_S)
    assert caught.value.hint == "Plug it in."
    assert camera.closed > 0
    stats = pipeline.stats()
    assert stats.captured == 5
    wait_until(no_threads_left, "the end of every thread")
    assert_accounts(pipeline.stats())


@pytest.mark.parametrize("stage", ["prepare", "infer"])
def test_a_failing_model_ends_the_pipeline_with_its_error(stage: str) -> None:
    script, sink = Script(), Sink()
    error = SessionFailed("The runtime failed.")
    getattr(script, f"fail_{stage}")[4] = error
    pipeline = make(ScriptedCamera(None), script, sink, "every_frame").start()
    with pytest.raises(SessionFailed) as caught:
        pipeline.wait(PATIENCE_S)
    assert caught.value is error
    with pytest.raises(SessionFailed):
        pipeline.stop(PATIENCE_S)
    stats = pipeline.stats()
    assert sink.seqs == [0, 1, 2, 3][: len(sink.seqs)]
    assert stats.dropped["failed"] == 1
    assert_accounts(stats)


def test_a_failing_model_does_not_leave_a_waiting_camera_behind() -> None:
    script, camera = Script(gated=True), ScriptedCamera(None)
    assert script.gate is not None
    script.fail_infer[1] = SessionFailed("The runtime failed.")
    woken: list[int] = []

    def wait_for_the_close() -> None:
        wait_until(lambda: camera.closed > 0, "the close that wakes the camera")
        woken.append(camera.closed)

    camera.at = {3: wait_for_the_close}
    pipeline = make(camera, script, Sink(), "every_frame").start()
    wait_until(lambda: camera.reads == 4, "the camera to wait in its fourth read")
    script.gate.release(100)
    with pytest.raises(SessionFailed):
        pipeline.wait(PATIENCE_S)
    wait_until(lambda: no_threads_left() or bool(woken), "the end of every thread")
    assert woken


@pytest.mark.parametrize(
    ("where", "kind"), [("camera", CameraLost), ("prepare", SessionFailed), ("infer", SessionFailed)]
)
def test_a_strangers_exception_is_explained_and_its_secrets_are_not(where: str, kind: type[EdgeError]) -> None:
    script, camera = Script(), ScriptedCamera(None)
    stranger = RuntimeError("cannot read rtsp://admin:hunter2@10.0.0.9/live\nand a second line")
    if where == "camera":
        camera.at = {2: stranger}
    else:
        getattr(script, f"fail_{where}")[2] = stranger
    with pytest.raises(kind) as caught, make(camera, script, Sink(), "every_frame") as pipeline:
        pipeline.wait(PATIENCE_S)
    assert "RuntimeError: cannot read rtsp://***@10.0.0.9/live" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_error_goes_to_the_callback_where_there_is_one() -> None:
    errors: list[EdgeError] = []
    camera = ScriptedCamera(None)
    camera.at = {3: CameraLost("gone")}
    with make(camera, Script(), Sink(), "every_frame", on_error=errors.append) as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert [error.message for error in errors] == ["gone"]


def test_an_error_of_the_camera_s_close_is_not_lost() -> None:
    camera = ScriptedCamera(3)

    def full() -> None:
        raise NoSpace("The disk is full.")

    camera.close = full  # type: ignore[method-assign]
    with pytest.raises(NoSpace), make(camera, Script(), Sink(), "every_frame") as pipeline:
        pipeline.wait(PATIENCE_S)
    wait_until(no_threads_left, "the end of every thread")


def test_the_error_of_the_body_is_not_replaced_by_the_pipelines() -> None:
    camera = ScriptedCamera(None)
    camera.at = {0: CameraLost("gone")}

    def body() -> None:
        with make(camera, Script(), Sink(), "every_frame") as pipeline:
            wait_until(lambda: pipeline._failures._first is not None, "the camera's error")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        body()


@pytest.mark.parametrize("error", [ValueError("the listener's own fault"), SystemExit(3)])
def test_a_listener_that_raises_does_not_keep_the_end_away(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(*_news: object) -> None:
        raise error

    script = Script()
    script.fail_infer[2] = SessionFailed("The runtime failed.")
    pipeline = make(ScriptedCamera(None), script, Sink(), "every_frame", on_error=raises).start()
    assert pipeline.wait(PATIENCE_S)
    assert_accounts(pipeline.stop(PATIENCE_S))
    assert "on_error raised" in caplog.text


def test_a_listener_that_raises_does_not_hide_that_every_camera_failed(caplog: pytest.LogCaptureFixture) -> None:
    def raises(_camera: str, _error: EdgeError) -> None:
        raise ValueError

    camera = ScriptedCamera(None)
    camera.at = {2: CameraLost("The camera is gone.")}
    pipeline = make(camera, Script(), Sink(), "every_frame", on_camera_error=raises).start()
    with pytest.raises(CameraLost, match="is gone"):
        pipeline.wait(PATIENCE_S)
    with pytest.raises(CameraLost, match="is gone"):
        pipeline.stop(PATIENCE_S)
    assert "on_camera_error raised" in caplog.text


def test_a_hook_that_exits_is_one_that_failed() -> None:
    def leaves(_result: FrameResult) -> None:
        raise SystemExit(0)

    with make(ScriptedCamera(10), Script(), leaves, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    stats = pipeline.stats()
    assert (stats.processed, stats.callback_errors) == (10, 10)


def test_waiting_for_what_was_not_started_is_refused() -> None:
    pipeline = make(ScriptedCamera(1), Script(), Sink(), "every_frame")
    with pytest.raises(InputError, match="not started"):
        pipeline.wait(PATIENCE_S)
    pipeline.stop()


def test_who_takes_the_results_must_be_callable_and_may_count_for_itself() -> None:
    class Counter(Sink):
        counts = 0

    with pytest.raises(InputError, match="function or a delivery, not 5"):
        make(ScriptedCamera(1), Script(), 5, "every_frame")  # type: ignore[arg-type]
    sink = Counter()
    with make(ScriptedCamera(3), Script(), sink, "every_frame") as pipeline:
        assert pipeline.wait(PATIENCE_S)
    assert sink.seqs == [0, 1, 2]
