"""Devices' answers on their way into the store: one that no database takes costs none of the others, a lock costs none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.service.commander import Commander
from edgesdk.fleet.service.replies import write_replies
from edgesdk.fleet.store import engine as store_engine
from edgesdk.fleet.store.engine import is_sqlite, open_store, reading, writing
from edgesdk.fleet.store.tables import command_replies, commands, nodes
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import Reply, encode, topic_of
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    made = open_store(store_url)
    with writing(made) as connection:
        connection.execute(insert(nodes).values(id=1, name="local.gate", created_ms=1))
        rows = [
            {"id": f"c{n}", "node": 1, "verb": "birth", "arguments": {}, "actor": "test", "created_ms": 1, "deadline_ms": 2}
            for n in range(4)
        ]  # fmt: skip
        connection.execute(insert(commands), rows)
    yield made
    made.dispose()


def reply(command: str, **more: Any) -> Reply:
    head = {"node": "local.gate", "at": datetime.now(timezone.utc), "epoch": "e1", "seq": 1}
    return Reply.model_validate({**head, "id": command, "ok": True, "step": "done", **more})


def kept(engine: Engine) -> dict[str, Any]:
    with reading(engine) as connection:
        rows = connection.execute(select(command_replies.c.command, command_replies.c.message, command_replies.c.data))
        return {row.command: (row.message, row.data) for row in rows}


def test_a_zero_in_an_answer_costs_neither_it_nor_the_others(engine: Engine) -> None:
    """PostgreSQL keeps no NUL, in text or in JSON."""
    odd = {"a\0": ["b\0", {"c": "\0"}], "n": 1}
    told = write_replies(engine, [reply("c0"), reply("c1", message="x\0y", data=odd), reply("c2")])
    assert told == [("local.gate", f"c{n}") for n in range(3)]
    found = kept(engine)
    assert set(found) == {"c0", "c1", "c2"}
    assert found["c1"] == ("x\ufffdy", {"a\ufffd": ["b\ufffd", {"c": "\ufffd"}], "n": 1})


def test_an_answer_that_the_database_refuses_is_dropped_alone(engine: Engine) -> None:
    with writing(engine) as connection:
        if is_sqlite(connection):
            poison = (
                "CREATE TRIGGER poison BEFORE INSERT ON command_replies WHEN NEW.code = 'poison' "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        else:
            connection.exec_driver_sql(
                "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN IF NEW.code = 'poison' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$"
            )
            poison = "CREATE TRIGGER poison BEFORE INSERT ON command_replies FOR EACH ROW EXECUTE FUNCTION poison()"
        connection.exec_driver_sql(poison)
    told = write_replies(engine, [reply("c0"), reply("c1", code="poison"), reply("c2")])
    assert [command for _, command in told] == ["c0", "c2"]
    assert set(kept(engine)) == {"c0", "c2"}


def test_a_locked_store_loses_no_answer_and_none_is_acknowledged_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker is told that we have an answer when it is on the disk."""
    from edgesdk.fleet.service import commander as module

    monkeypatch.setattr(store_engine, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    engine = open_store(tmp_path / "fleet.db")
    with writing(engine) as connection:
        connection.execute(insert(nodes).values(id=1, name="local.gate", created_ms=1))
        connection.execute(
            insert(commands).values(id="c0", node=1, verb="birth", arguments={}, actor="t", created_ms=1, deadline_ms=2)
        )

    async def scene() -> None:
        busy = asyncio.Event()
        attempts = module.write_replies
        loop = asyncio.get_running_loop()

        def counted(*given: Any) -> Any:
            try:
                return attempts(*given)
            except module.StoreBusy:
                loop.call_soon_threadsafe(busy.set)
                raise

        monkeypatch.setattr(module, "write_replies", counted)
        commander = Commander(BrokerAddress.parse("mqtt://127.0.0.1:1"), engine)
        keeping = asyncio.create_task(commander._keep_replies())
        message = reply("c0")
        body = encode(message)
        with engine.connect() as other:
            other.exec_driver_sql("ROLLBACK")
            other.exec_driver_sql("BEGIN IMMEDIATE")
            done = commander._receive(Received(str(topic_of(message)), body.payload, body.content_type))
            assert done is not None
            await asyncio.wait_for(busy.wait(), 30)
            assert not done.done()
            other.exec_driver_sql("ROLLBACK")
        await asyncio.wait_for(done, 30)
        keeping.cancel()

    asyncio.run(scene())
    assert set(kept(engine)) == {"c0"}
    engine.dispose()
