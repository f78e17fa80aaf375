from __future__ import annotations

import threading
import tracemalloc

import pytest

from edgesdk_agent.timeline.timeline import Span, Timeline
from edgesdk_targets.errors import InputError


def test_spans_come_back_as_they_were_recorded_in_order() -> None:
    timeline = Timeline(10)
    timeline.add("infer", "door", 1, 2.0, 3.0)
    timeline.add("capture", "gate", 7, 1.0, 1.5)
    name = threading.current_thread().name
    assert timeline.spans() == [
        Span("capture", "gate", 7, name, 1.0, 1.5),
        Span("infer", "door", 1, name, 2.0, 3.0),
    ]
    assert timeline.lost == 0


def test_the_newest_spans_replace_the_oldest() -> None:
    timeline = Timeline(4)
    for seq in range(10):
        timeline.add("deliver", "door", seq, seq, seq + 1)
    assert [span.seq for span in timeline.spans()] == [6, 7, 8, 9]
    assert timeline.lost == 6


def test_threads_that_record_at_once_lose_nothing() -> None:
    timeline, each = Timeline(), 5000

    def work() -> None:
        for seq in range(each):
            timeline.add("infer", threading.current_thread().name, seq, 0.0, 1.0)

    threads = [threading.Thread(target=work, name=f"lane {n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = timeline.spans()
    assert len(spans) == 4 * each
    assert {(span.camera, span.seq) for span in spans} == {(f"lane {n}", s) for n in range(4) for s in range(each)}
    # Idents of threads that ended may be used again, so names are only known to be of these threads.
    assert {span.thread for span in spans} <= {f"lane {n}" for n in range(4)}


def test_recording_takes_no_memory() -> None:
    timeline = Timeline(1000)
    timeline.add("capture", "door", 0, 0.0, 1.0)
    tracemalloc.start()
    try:
        for seq in range(5000):
            timeline.add("capture", "door", seq, 0.0, 1.0)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 2000


def test_an_empty_timeline_is_refused() -> None:
    with pytest.raises(InputError, match="at least one span"):
        Timeline(0)
