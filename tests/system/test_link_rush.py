"""A rush of reports is gathered on its way to a real broker, all of them arrive, and what comes one by one waits for nobody."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from edgesdk_agent.link import connection
from edgesdk_agent.link.report_queue import ReportKind, ReportQueue
from edgesdk_testkit.agent_like import make_link, result
from edgesdk_testkit.brokers import PATIENCE_S, RealBroker


def _sent(broker: RealBroker, monkeypatch: pytest.MonkeyPatch, count: int, every_s: float) -> tuple[list[float], int]:
    """Report so many results at a pace; return the link's pauses, and how often it waited for something to happen."""
    pauses: list[float] = []
    turns: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    turn = connection.Connection._turn

    def counted(self: connection.Connection, timeout_s: float) -> None:
        turns.append(timeout_s)
        turn(self, timeout_s)

    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    monkeypatch.setattr(connection.Connection, "_turn", counted)
    queue = ReportQueue()
    link = make_link(broker.address, queue)
    link.start(require_within_s=PATIENCE_S)
    try:
        next_at = time.monotonic()
        for frame in range(count):
            queue.put(ReportKind.RESULT, result(frame))
            next_at += every_s
            while time.monotonic() < next_at:
                time.sleep(every_s / 10)
        assert link.flush(PATIENCE_S)
        assert queue.counts().delivered[ReportKind.RESULT.value] == count
    finally:
        link.stop()
    return pauses, len(turns)


def test_a_rush_is_gathered_and_arrives(mosquitto: RealBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, turns = _sent(mosquitto, monkeypatch, 1500, 0.001)
    assert pauses
    # One by one each report is a turn of the link's, and mostly its acknowledgement another.
    assert turns < 1500


def test_a_camera_waits_for_nobody(mosquitto: RealBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, _ = _sent(mosquitto, monkeypatch, 60, 0.01)
    assert not pauses
