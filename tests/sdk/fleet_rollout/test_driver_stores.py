"""The driver on a file and on PostgreSQL: a good one comes to all, a bad one goes back, a halt is gone on from, devices join."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from edgesdk.fleet.rollout.model import Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.store import jobs
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.rollout_orders import order
from edgesdk.fleet.store.rollout_pages import rollout_page
from edgesdk.fleet.store.rollouts import JOB
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import audit, node_tags, nodes, now, rollout_orders
from edgesdk_targets.errors import InputError
from edgesdk_testkit.rollout_store import stored_world
from edgesdk_testkit.rollout_world import NEW, OLD, Way
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

POLICY = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, shares=(0.5, 1.0))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_a_good_one_comes_to_all_and_one_word_takes_it_back(store_url: str, tmp_path: Path, stack: ExitStack) -> None:
    stored = stack.enter_context(stored_world([Way.GOOD] * 4, store_url, tmp_path))
    key = stored.begin(POLICY, expect=4)
    with pytest.raises(InputError, match=key):
        stored.begin(POLICY)
    assert stored.run(key).status is Status.DONE
    assert {model.executing for model in stored.world.models.values()} == {NEW}
    with writing(stored.engine) as connection:
        order(connection, key, "rollback", actor="ann", now_ms=stored.now_ms, why="a customer asked")
    assert stored.run(key).status is Status.ROLLED_BACK
    assert {model.executing for model in stored.world.models.values()} == {OLD}
    with reading(stored.engine) as connection:
        page = rollout_page(connection, key, stored.now_ms)
        told = connection.execute(select(audit.c.detail).where(audit.c.action == "rollout.rollback")).scalar_one()
    assert told == {"why": "a customer asked"}
    assert "a customer asked" in [line["why"] for line in page["log"]]


def test_a_bad_one_halts_and_goes_on_with_a_reason(store_url: str, tmp_path: Path, stack: ExitStack) -> None:
    stored = stack.enter_context(stored_world([Way.WORSE] * 4, store_url, tmp_path))
    key = stored.begin(POLICY.model_copy(update={"on_breach": "hold"}))

    def rests(at: Status) -> None:
        stored.run(key, until=lambda now: now.status is at)

    rests(Status.HALTED)
    with reading(stored.engine) as connection:
        page = rollout_page(connection, key, stored.now_ms)
    assert "frames a second" in page["why"]
    assert (page["may"], page["needs_reason"]) == (["resume", "abort", "rollback"], ["resume"])
    with writing(stored.engine) as connection, pytest.raises(InputError, match="needs a reason") as refused:
        order(connection, key, "resume", actor="ann", now_ms=stored.now_ms, why=" ")
    assert "--why" in (refused.value.hint or "")
    with writing(stored.engine) as connection:
        order(connection, key, "resume", actor="ann", now_ms=stored.now_ms, why="as slow as was agreed")
    stored.look()
    found = stored.rollout(key)
    assert (found.status, found.wave) == (Status.RUNNING, 1)
    # Each further wave does worse too, and each time it is a person who says so; a kill between forgets nothing.
    rests(Status.HALTED)
    stored.driver = stored.new_driver(tmp_path)
    stored.tick(61)
    with writing(stored.engine) as connection:
        order(connection, key, "abort", actor="ann", now_ms=stored.now_ms)
    last = stored.run(key)
    assert last.status is Status.ABORTED
    with reading(stored.engine) as connection:
        excused = [one["node"] for one in rollout_page(connection, key, stored.now_ms)["shown"] if one["excused"]]
        whys = [row.why for row in connection.execute(select(rollout_orders).order_by(rollout_orders.c.id))]
    assert excused == [name for name, one in last.devices.items() if one.wave == 0]
    assert whys == ["as slow as was agreed", ""]


def test_a_dynamic_one_without_devices_waits_and_the_first_that_joins_is_alone(
    store_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    stored = stack.enter_context(stored_world([Way.GOOD] * 5, store_url, tmp_path))
    rules = POLICY.model_copy(update={"dynamic": True})
    key = stored.begin(rules, Selection(tags=("new-hall",)))
    for _ in range(5):
        stored.look()
        stored.tick(20)
    waits = stored.rollout(key)
    assert (waits.status, waits.why, waits.devices) == (Status.RUNNING, "waits for a device that fits", {})
    with writing(stored.engine) as connection:
        rows = connection.execute(select(nodes.c.id)).scalars()
        connection.execute(insert(node_tags), [{"node": row, "tag": "new-hall"} for row in rows])
    stored.look()
    joined = stored.rollout(key)
    assert [sum(one.wave == wave for one in joined.devices.values()) for wave in range(3)] == [1, 2, 2]
    assert sum(one.step is Step.TOLD for one in joined.devices.values()) == 1
    assert stored.run(key).status is Status.DONE
    # A fixed list of nobody is refused in words.
    with pytest.raises(InputError, match="no device fits the selection"):
        stored.begin(POLICY, Selection(tags=("elsewhere",)))


def test_of_two_drivers_one_drives(store_url: str, tmp_path: Path, stack: ExitStack) -> None:
    stored = stack.enter_context(stored_world([Way.GOOD] * 2, store_url, tmp_path))
    key, other = stored.begin(POLICY), stored.new_driver(tmp_path)
    assert jobs.claim(stored.engine, JOB, "somebody else", stored.now_ms)
    assert other.look({}) == ({}, {})
    assert not any(one.touched for one in stored.rollout(key).devices.values())
    jobs.finish(stored.engine, JOB, "somebody else", stored.now_ms, stored.now_ms)
    updates, _ = other.look({})
    assert len(updates) == 1
    assert stored.run(key).status is Status.DONE


def test_a_device_under_trial_is_updating(store_url: str, tmp_path: Path, stack: ExitStack) -> None:
    """In the words that devices use: a step that they never name would be shown as online."""
    stored = stack.enter_context(stored_world([Way.GOOD], store_url, tmp_path))
    found: dict[str, list[int]] = {}
    for step in ("downloading", "verified", "staged", "trial", "confirmed", "rolled back", "idle"):
        with writing(stored.engine) as connection:
            connection.execute(update(now).values(step=step, heard_ms=stored.now_ms))
            asked = select(nodes.c.id).join(now, now.c.node == nodes.c.id)
            where = Selection(state="updating").where(stored.now_ms)
            found[step] = list(connection.execute(asked.where(*where)).scalars())
    assert [step for step, rows in found.items() if rows] == ["downloading", "verified", "staged", "trial"]
