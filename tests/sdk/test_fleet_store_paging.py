"""Cursors that somebody changed: another page or a refusal, on both kinds of store, and never the store's own failure."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from sqlalchemy import insert, select

from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.paging import Key, page
from edgesdk.fleet.store.tables import nodes
from edgesdk_targets.errors import InputError
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]


def cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


WRONG = [
    ("x", "local.a"), (1, 1), (1.5, "local.a"), (True, "local.a"), (1 << 63, "local.a"), (1, "\0"), (1, "\ud800"),
    (None, "local.a"), ([], {}), (1,), (1, "a", "b"), ("1", "local.a"), (float("nan"), "local.a"),
]  # fmt: skip


def test_each_value_of_a_cursor_has_the_type_of_its_column(store_url: str) -> None:
    engine = open_store(store_url)
    try:
        with writing(engine) as connection:
            rows = [{"name": f"local.{name}", "created_ms": at} for at, name in enumerate("abc")]
            connection.execute(insert(nodes), rows)
        keys = [Key(nodes.c.created_ms, True), Key(nodes.c.name)]
        with reading(engine) as connection:
            first = page(connection, select(nodes.c.name), keys, "", 2)
            assert [row.name for row in page(connection, select(nodes.c.name), keys, first.next, 2).items] == [
                "local.a"
            ]
            for wrong in WRONG:
                with pytest.raises(InputError, match="cursor"):
                    page(connection, select(nodes.c.name), keys, cursor(*wrong), 2)
    finally:
        engine.dispose()
