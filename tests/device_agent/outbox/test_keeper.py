"""The keeper's thread: a fault is told once until it is another one, and counted each time."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from edgesdk_agent.outbox.keeper import Keeper
from edgesdk_agent.outbox.outbox import Outbox
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_testkit.collector_model import NODE


def test_a_fault_is_told_once_until_it_changes_and_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    box = Outbox(tmp_path / "outbox.db", NODE, OutboxSettings(sync_interval_s=0.01))
    faults: list[Exception | None] = [
        *[KeyError("one")] * 20,
        *[KeyError("another")] * 20,
        None,
        None,
        KeyError("one"),
        None,
    ]
    over, step = threading.Event(), box.step

    def fails() -> None:
        if not faults:
            over.set()
            return
        fault = faults.pop(0)
        if fault is not None:
            raise fault
        step()

    monkeypatch.setattr(box, "step", fails)
    keeper = Keeper(box)
    with caplog.at_level(logging.INFO, "edgesdk_agent.outbox.keeper"):
        keeper.start()
        assert over.wait(20)
        keeper.stop()
    told = [record for record in caplog.records if record.name == "edgesdk_agent.outbox.keeper"]
    assert [record.levelname for record in told] == ["ERROR", "ERROR", "WARNING", "ERROR", "WARNING"]
    assert "after 40 failed steps" in told[2].getMessage()
    assert box.figures()["failed_steps"] == 41
