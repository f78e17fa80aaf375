from __future__ import annotations

import threading

from edgesdk_agent.health.thread_dump import thread_dump


def test_it_names_the_threads_and_where_they_are() -> None:
    leave, there = threading.Event(), threading.Event()

    def wait_in_this_function() -> None:
        there.set()
        leave.wait(30)

    thread = threading.Thread(target=wait_in_this_function, name="edgesdk-stuck")
    thread.start()
    there.wait(30)
    try:
        text = thread_dump()
    finally:
        leave.set()
        thread.join()
    assert "edgesdk-stuck" in text
    assert "wait_in_this_function" in text
