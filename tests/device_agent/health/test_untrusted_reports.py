"""A device that starts in 1970 and is set right later: its reports say which of their times are not to be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesdk_agent.frame import FrameResult
from edgesdk_agent.health.clock_trust import ClockTrust
from edgesdk_agent.link.presence import utc
from edgesdk_agent.link.report_queue import ReportQueue
from edgesdk_agent.link.reporter import Reporter
from edgesdk_targets.messages import Sample, decode
from edgesdk_targets.results import Regression
from edgesdk_targets.topics import Node, Topic

NODE = Node("cam1")


def test_reports_of_1970_and_of_a_jump_are_marked_and_their_ages_are_right() -> None:
    clock: dict[str, float] = {"wall": 5.0, "monotonic": 100.0}
    trust = ClockTrust(settle_s=60.0)
    queue = ReportQueue()
    reporter = Reporter(
        queue,
        NODE,
        snapshot=lambda: Sample(at=utc(0)),
        wall=lambda: clock["wall"],
        clock_trusted=lambda: trust.read(clock["wall"], clock["monotonic"]).trusted,
    )
    # At the start, after a time server answered, when it has run evenly, and after a jump of an hour.
    for wall, monotonic in ((5.0, 100.0), (1.795e9, 110.0), (1.795e9 + 70, 180.0), (1.795e9 + 3680, 190.0)):
        clock.update(wall=wall, monotonic=monotonic)
        answer = Regression(np.zeros(1, np.float32))
        reporter(FrameResult("door", 0, monotonic, wall, 0.042, 0.001, 0.04, answer))
        reporter.event("something")
    said: list[Any] = [
        decode(str(Topic(NODE, report.kind.channel)), report.body.payload, report.body.content_type)
        for report in sorted(queue.take(100), key=lambda report: report.seq)
    ]
    assert [one.clock_trusted for one in said] == [False, False, False, False, True, True, False, False]
    assert {one.age_ms for one in said if one.kind == "result"} == {42.0}
