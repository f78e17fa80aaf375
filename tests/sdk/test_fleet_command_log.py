"""Commands in the store: what nobody answers comes to an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from edgesdk.fleet.store import command_log
from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.tables import nodes
from edgesdk_testkit.reports import NOW_MS
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

HOUR = 3_600_000


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    opened = open_store(store_url)
    given = {"node": 1, "verb": "update", "actor": "a", "created_ms": NOW_MS, "deadline_ms": NOW_MS + 60_000}
    with writing(opened) as connection:
        connection.execute(insert(nodes).values(id=1, name="shop.a", created_ms=NOW_MS))
        command_log.add_commands(connection, [{"id": name, **given} for name in ("silent", "begun", "done")])
        command_log.set_sent(connection, ["silent", "begun", "done"], NOW_MS)
    yield opened
    opened.dispose()


def _reply(engine: Engine, command: str, step: str, at_ms: int) -> None:
    said = {"node": "shop.a", "ok": True, "code": "", "message": "", "data": {}}
    with writing(engine) as connection:
        assert command_log.add_reply(connection, command, {**said, "step": step, "at_ms": at_ms, "received_ms": at_ms})


def _states(engine: Engine) -> dict[str, tuple[Any, ...]]:
    with reading(engine) as connection:
        rows = command_log.list_commands(connection).items
    return {row.id: (row.state, row.code, row.finished_ms) for row in rows}


def test_what_is_begun_and_not_heard_of_again_is_over_after_hours_and_an_answer_still_counts(engine: Engine) -> None:
    for command in ("begun", "done"):
        _reply(engine, command, "accepted", NOW_MS + 1)
    _reply(engine, "done", "done", NOW_MS + 2)

    def expire(at_ms: int) -> int:
        with writing(engine) as connection:
            return command_log.expire(connection, at_ms)

    assert expire(NOW_MS + 59_000) == 0
    assert expire(NOW_MS + 61_000) == 1
    # An update takes its time.
    assert expire(NOW_MS + 5 * HOUR) == 0
    later = NOW_MS + 7 * HOUR
    assert expire(later) == 1
    assert _states(engine) == {
        "silent": ("expired", "", NOW_MS + 61_000),
        "begun": ("expired", "no_answer", later),
        "done": ("done", "", NOW_MS + 2),
    }
    _reply(engine, "begun", "done", later + 1)
    assert _states(engine)["begun"] == ("done", "", later + 1)


def test_a_device_and_a_template_are_removed_on_the_command_line(engine: Engine, store_url: str) -> None:
    from edgesdk.cli.app import run
    from edgesdk.fleet.store.templates import put_template

    with writing(engine) as connection:
        put_template(connection, "door", {}, "a", NOW_MS)
    for command in (["remove", "shop.a"], ["template", "rm", "door"]):
        assert run(["fleet", *command, "--db", store_url]) == 0
        assert run(["fleet", *command, "--db", store_url]) == 2
    with reading(engine) as connection:
        for table, count in (("nodes", 0), ("commands", 0), ("templates", 0), ("audit", 2)):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == count
