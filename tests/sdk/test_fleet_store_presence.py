"""What devices say about themselves: a batch of words comes to what the same words come to one after another."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import select

from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.tables import nodes, now, presence, reported
from edgesdk_targets.messages import BundleName, Message, Reported
from edgesdk_testkit.reports import NOW_MS, birth, moment, reading_of, state
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

# Which row it is, and whose; both differ by how the words came.
_PLACE = {"id", "name", "node", "body"}


def _word(chance: random.Random, node: str) -> tuple[Message, bool]:
    """Return any word, and whether the broker had kept it; sessions go back and forth, as wills come late."""
    boot, session, at_ms = f"b{chance.randint(1, 2)}", chance.randint(1, 3), NOW_MS + chance.randint(0, 9)
    kind = chance.choice(("birth", "birth", "online", "offline", "reported"))
    if kind == "birth":
        bundle = chance.choice(("shelf", "door"))
        return birth(node, at_ms, session=session, boot_id=boot, bundle=bundle), chance.random() < 0.3
    if kind == "reported":
        active = BundleName(name="till", version="2.0.0", digest=chance.choice(("", "d2")))
        said = Reported(node=node, at=moment(at_ms), epoch="e1", seq=1, version=chance.randint(1, 9), active=active)
        return said, False
    return state(node, at_ms, kind, session=session, boot_id=boot), chance.random() < 0.3


def _shown(store: Ingest, prefix: str) -> list[dict[str, Any]]:
    found = []
    with reading(store.engine) as connection:
        for table in (presence, reported, now):
            asked = select(table).join(nodes, nodes.c.id == table.c.node).where(nodes.c.name.startswith(prefix))
            ordered = asked.order_by(nodes.c.name, *list(table.primary_key)[1:])
            found += [dict(row) for row in connection.execute(ordered).mappings()]
        known = select(nodes).where(nodes.c.name.startswith(prefix)).order_by(nodes.c.name)
        found += [dict(row) for row in connection.execute(known).mappings()]
    return [{name: value for name, value in row.items() if name not in _PLACE} for row in found]


def test_a_batch_of_words_comes_to_what_they_come_to_one_by_one(store_url: str) -> None:
    chance = random.Random(3)
    store = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    devices = [f"d{number}" for number in range(30)]
    # Some are known before, some are not.
    for prefix in ("one.", "all."):
        store.commit(reading_of(*(birth(f"{prefix}{name}", NOW_MS, session=2) for name in devices[:15])))
    for _ in range(2):
        drawn = [(name, chance.getrandbits(32)) for _ in range(3) for name in chance.sample(devices, 20)]
        for name, seed in drawn:
            message, retained = _word(random.Random(seed), f"one.{name}")
            store.commit(reading_of(message, retained=retained))
        batch = reading_of()
        for name, seed in drawn:
            message, retained = _word(random.Random(seed), f"all.{name}")
            batch.add(reading_of(message, retained=retained))
        store.commit(batch)
    one, all_at_once = _shown(store, "one."), _shown(store, "all.")
    store.close()
    assert len(one) > 100
    assert all_at_once == one
