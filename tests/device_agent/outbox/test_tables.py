"""The backlog as tables: on disk always, on the wire to a collector that has said that it reads them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_targets.messages import COLUMNS, DEFLATED, deflated_segment
from edgesdk_targets.messages.columns import is_table
from edgesdk_testkit.collector_model import Collector, Device, report

RESULT = ReportKind.RESULT


def _with_backlog(folder: Path, count: int = 300) -> Device:
    device = Device(folder)
    for _ in range(count):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
    device.wait(60.0)
    return device


@pytest.mark.parametrize(("takes", "rest"), [((COLUMNS,), COLUMNS), ((), DEFLATED), (("application/zebra",), DEFLATED)])
def test_a_collector_gets_what_it_takes_and_deflated_before_it_has_said_so(
    tmp_path: Path, takes: tuple[str, ...], rest: str
) -> None:
    device, collector = _with_backlog(tmp_path), Collector(takes=takes)
    (first,) = (message for message in device.send(collector, 1))
    assert first.body.content_type == DEFLATED
    device.box.acknowledge(collector.ack(device.box.epoch))
    (second,) = device.send(collector, 1)
    assert second.body.content_type == rest
    device.drain(collector)
    assert len(collector.stored[device.box.epoch]) == 300
    device.box.close()


def test_another_collector_that_does_not_read_tables_gets_the_backlog_too(tmp_path: Path) -> None:
    device, collector = _with_backlog(tmp_path), Collector()
    device.send(collector, 1)
    device.box.acknowledge(collector.ack(device.box.epoch))
    # One of an earlier version is there now: it refuses tables without a word.
    for _ in range(600):
        for message in device.box.take(10):
            device.box.done(message.seq)
            if message.body.content_type != COLUMNS:
                collector.read(message)
                device.box.acknowledge(collector.ack(device.box.epoch).model_copy(update={"takes": ()}))
        device.wait(1.0)
    assert device.box.pending == 0
    device.box.close()


def test_an_outbox_of_the_version_before_is_read_and_goes_on_in_tables(tmp_path: Path) -> None:
    device, collector = _with_backlog(tmp_path), Collector()
    device.box.close()
    db = sqlite3.connect(device.path)
    for id_, body in db.execute("SELECT id, body FROM bodies").fetchall():
        assert is_table(body)
        db.execute("UPDATE bodies SET body = ?, checksum = NULL WHERE id = ?", (deflated_segment(body), id_))
    db.execute("PRAGMA user_version = 3")
    db.commit()
    db.close()
    device.box = device._open()
    assert device.box.pending == 300
    for _ in range(60):
        device.box.put(RESULT, report(RESULT))
        device.wait(1.0)
    device.wait(60.0)
    device.drain(collector)
    assert len(collector.stored[device.box.epoch]) == 360
    assert not collector.causes
    device.box.close()
