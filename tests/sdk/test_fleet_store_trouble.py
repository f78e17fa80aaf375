"""What work in rounds says of a store that is away: once and in a line; and what is no such trouble whole."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from edgesdk.fleet.store.engine import open_store, writing
from edgesdk.fleet.store.failures import StoreBusy, passing
from edgesdk.fleet.store.trouble import Trouble

_log = logging.getLogger("edgesdk.test")


def test_a_locked_store_is_a_line_once_until_it_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = open_store(tmp_path / "fleet.db")
    lock = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Exception, match="locked") as found, writing(engine):
            pass
    finally:
        lock.close()
        engine.dispose()
    trouble = Trouble(_log, "Roll-outs")
    for _ in range(3):
        trouble.say(found.value)
    trouble.over()
    trouble.say(found.value)
    assert [record.getMessage() for record in caplog.records] == [
        "Roll-outs: the store: database is locked. It is tried again."
    ] * 2
    assert all(record.exc_info is None for record in caplog.records)


def test_a_fault_of_ours_is_told_whole_each_time(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(_log, "Roll-outs")
    for _ in range(2):
        trouble.say(KeyError("x"))
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all(record.exc_info is not None for record in caplog.records)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreBusy("full", hint=""), "full"),
        (PoolTimeout("too many"), "connections are in use"),
        (OSError(28, "No space left on device"), "No space left"),
        (ValueError("x"), ""),
    ],
    ids=["ours", "pool", "disk", "other"],
)
def test_what_time_may_mend_is_told_from_what_it_may_not(error: Exception, words: str) -> None:
    assert words in passing(error)
    assert bool(passing(error)) is bool(words)
