from __future__ import annotations

from typing import Any

from edgesdk_agent.summary import in_words


def summary(**changes: Any) -> dict[str, Any]:
    return {
        "frames": {"captured": 20, "processed": 4, "dropped": {}, "in_flight": 0},
        "fps": 4.0,
        "age_ms": {"p50": 1.5, "p95": 2.5, "p99": 3.0},
        "results_filtered": 0,
        "reports": {"delivered": {"result": 4}, "lost": {}, "undelivered": 0},
        **changes,
    }


def test_frames_of_a_clip_are_not_called_dropped() -> None:
    frames = {"captured": 20, "processed": 4, "dropped": {"windowed": 15, "stopped": 1}, "in_flight": 0}
    assert "1 dropped, 15 taken into clips" in in_words(summary(frames=frames))
    assert in_words(summary()) == (
        "4 of 20 frames, 4.0 fps, age p50 1.5 ms p95 2.5 ms, 0 dropped, 4 reports delivered, 0 not"
    )


def test_how_each_model_ran_is_told() -> None:
    first = {"variant": "a", "runtime": "openvino", "precision": "int8", "threads": 1, "streams": 2, "pin": True}
    second = {**first, "variant": "b", "threads": 0, "streams": 1, "pin": False}
    assert in_words(summary(settings=[first])).endswith("0 not, a (2 streams of 1 thread, pinned)")
    assert in_words(summary(settings=[first, second])).endswith("pinned) then b (its runtime's threads)")


def test_no_age_is_a_dash() -> None:
    assert "age p50 - p95 -," in in_words(summary(age_ms={"p50": None, "p95": None, "p99": None}))


def test_what_hooks_and_filters_did_is_told_where_there_is_something_to_tell() -> None:
    well = {"delivered": 4, "failed": 0, "hung": 0, "dropped": 0, "waiting": 0}
    told = in_words(summary(results_filtered=3, hooks={"a:b": well, "c:d": {**well, "failed": 2, "hung": 1}}))
    assert "3 results filtered" in told
    assert told.endswith("hook c:d: 2 failed and 1 hung")
    assert "a:b" not in told
