"""What a put costs beside persist-queue's, by turns in one process, on the same disk, with the same body.

persist-queue commits each put, without a sync of the disk. Ours is in the page cache when `put` returns; the next commit packs and
syncs it. Its time is told apart, as no caller of `put` waits for it, and counted in.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_targets.messages import Encoded
from outbox_parts.reports import NODE, result

BODY = result(0.0)("0" * 16, 1).payload
# Ten a second, and a commit each 25 s, as the outbox makes it of itself.
PUTS = 250
TURNS = 15


def put_cost(folder: Path) -> dict[str, float]:
    """Return microseconds a put, the medians of the turns, and the ratios to persist-queue's."""
    from persistqueue import SQLiteAckQueue

    outbox = Outbox(folder / "ours" / "outbox.db", NODE)
    theirs = SQLiteAckQueue(str(folder / "theirs"), auto_commit=True)
    puts, commits, rivals = list[float](), list[float](), list[float]()
    for _ in range(TURNS):
        puts.append(_timed(lambda: outbox.put(ReportKind.RESULT, lambda _epoch, _seq: Encoded(BODY)), PUTS))
        commits.append(_timed(outbox.commit, 1))
        rivals.append(_timed(lambda: theirs.put(BODY), PUTS))
    outbox.close()
    theirs.close()
    put_us, theirs_us = statistics.median(puts) / PUTS, statistics.median(rivals) / PUTS
    whole_us = put_us + statistics.median(commits) / PUTS
    return {
        "put_us": round(put_us, 1),
        "put_and_commit_us": round(whole_us, 1),
        "persist_queue_us": round(theirs_us, 1),
        "put_ratio": round(put_us / theirs_us, 4),
        "put_and_commit_ratio": round(whole_us / theirs_us, 4),
    }


def _timed(what: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        what()
    return (time.perf_counter() - began) * 1e6
