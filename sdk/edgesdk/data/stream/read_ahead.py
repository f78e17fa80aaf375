"""Do work on several threads, a bounded number of jobs ahead, and give the answers in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def threads(workers: int | None) -> int:
    """Return how many threads to use: as many as asked for, or one a core that this process may use."""
    return workers or len(os.sched_getaffinity(0))


def in_order(jobs: Iterable[Job], work: Callable[[Job], Answer], *, workers: int, ahead: int) -> Iterator[Answer]:
    """Yield the answer to each job, in the order of the jobs.

    Args:
        jobs: taken one by one, at most `ahead` more than were answered; what they hold is let go with their answer.
        workers: threads.
    """
    pool = ThreadPoolExecutor(workers, "edgesdk-data")
    waiting: deque[Future[Answer]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(work, job))
            del job
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
