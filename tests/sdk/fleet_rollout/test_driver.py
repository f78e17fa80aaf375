"""The engine with its store: killed at every transition, and what is refused."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import insert, select, update

from edgesdk.cli.app import run as cli
from edgesdk.fleet.rollout.model import Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.shelf import Shelf
from edgesdk.fleet.service.rollouts.driver import rollout_rounds
from edgesdk.fleet.service.rollouts.wishes import Wishes
from edgesdk.fleet.store import rollouts, tables
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.rollout_begin import begin
from edgesdk.fleet.store.rollout_orders import order
from edgesdk.fleet.store.rollout_pages import list_rollouts, rollout_page
from edgesdk.fleet.store.selection import Selection
from edgesdk.fleet.store.tables import audit, events, nodes
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError
from edgesdk_testkit.rollout_store import BUNDLE, OneBundle, StoredWorld, stored_world
from edgesdk_testkit.rollout_world import NEW, OLD, Way

POLICY = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, shares=(0.5, 1.0))


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[list[Way]], StoredWorld]]:
    with ExitStack() as stack:
        numbers = itertools.count()
        yield lambda ways: stack.enter_context(stored_world(ways, tmp_path / f"{next(numbers)}.db", tmp_path))


def run(stored: StoredWorld, key: str, *, kill_at: int = 0, committed: bool = False) -> int:
    """Let it come to its end; return how many transitions there were.

    Args:
        kill_at: the process is killed at this one; committed: when it is written, and nobody told yet; else before that.
    """
    count, save, killed = 0, rollouts.save, False

    def counted(connection: Any, before: Any, after: Any, *more: Any) -> bool:
        nonlocal count, killed
        count += after != before.rollout
        if count == kill_at and not committed and not killed:
            killed = True
            raise Killed
        return save(connection, before, after, *more)

    def before_telling() -> None:
        nonlocal killed
        if count == kill_at and committed and not killed:
            killed = True
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollouts, "save", counted)
        for _ in range(300):
            try:
                stored.look(before_telling)
            except Killed:
                stored.driver = stored.new_driver(Path())
                # Its lease runs out before another one looks.
                stored.tick(61)
            stored.tick(20)
            if stored.rollout(key).status.ended:
                assert killed is bool(kill_at)
                return count
    raise AssertionError(stored.rollout(key))


@pytest.mark.parametrize("way", [Way.GOOD, Way.WORSE], ids=["good", "worse"])
def test_killed_at_every_transition_it_ends_the_same(made: Callable[[list[Way]], StoredWorld], way: Way) -> None:
    plain = made([way] * 3)
    key = plain.begin(POLICY)
    transitions = run(plain, key)
    assert transitions > 4
    expected = plain.outcome(key)
    assert expected[0] is (Status.DONE if way is Way.GOOD else Status.ROLLED_BACK)
    for kill_at in range(1, transitions + 1):
        for committed in (False, True):
            stored = made([way] * 3)
            assert stored.begin(POLICY) == key
            run(stored, key, kill_at=kill_at, committed=committed)
            assert stored.outcome(key) == expected, (kill_at, committed)


def test_nobody_is_silent_while_the_broker_was_away(made: Callable[[list[Way]], StoredWorld]) -> None:
    stored = made([Way.SILENT] * 3)
    key = stored.begin(POLICY)

    def looks(connection: int | None) -> Status:
        stored.driver.hears(connection)
        stored.look()
        return stored.rollout(key).status

    looks(1)
    for _ in range(30):
        # Without a word from anybody.
        stored.world.now += 20
        assert looks(None) is Status.RUNNING
    stored.world.now += 20
    looks(2)
    stored.world.now += 299
    assert looks(2) is Status.RUNNING
    stored.world.now += 1
    assert looks(2) is Status.ROLLING_BACK


def test_rounds_tell_it_by_which_connection_devices_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, hears = asyncio.Event(), list[int | None]()
    connections = iter([1, None, 2, 2])

    class Link(Wishes):
        connected = told = AsyncMock()
        connection = property(lambda _self: next(connections))  # type: ignore[assignment]

    def look(_kept: Any) -> Any:
        if len(hears) == 3:
            raise OSError("the store is away")
        if len(hears) == 5:
            stop.set()
        return {}, {}

    driver: Any = SimpleNamespace(hears=hears.append, look=look)
    monkeypatch.setattr("edgesdk.fleet.service.rollouts.driver.Wishes", Link)
    asyncio.run(asyncio.wait_for(rollout_rounds(driver, BrokerAddress("localhost"), every_s=0.001)(stop), 20))
    # After a look that the store failed there is none, either.
    assert hears == [1, None, 2, None, 2]


def test_a_second_one_over_the_first_is_refused_until_that_has_ended(made: Callable[[list[Way]], StoredWorld]) -> None:
    stored = made([Way.GOOD] * 4)
    key = stored.begin(POLICY)
    with pytest.raises(InputError, match=key):
        stored.begin(POLICY)
    run(stored, key)
    with pytest.raises(InputError, match="runs this release already"):
        stored.begin(POLICY)
    with writing(stored.engine) as connection, pytest.raises(InputError, match="means nothing"):
        order(connection, key, "pause", actor="test", now_ms=stored.now_ms)
    with writing(stored.engine) as connection:
        order(connection, key, "rollback", actor="ann", now_ms=stored.now_ms)
    run(stored, key)
    assert stored.rollout(key).status is Status.ROLLED_BACK
    assert {model.executing for model in stored.world.models.values()} == {OLD}
    with reading(stored.engine) as connection:
        said = [(row.actor, row.action) for row in connection.execute(select(audit).order_by(audit.c.id))]
    assert said == [
        ("test", "rollout.begin"), ("fleet", "rollout.done"), ("ann", "rollout.rollback"),
        ("fleet", "rollout.rolling_back"), ("fleet", "rollout.rolled_back"),
    ]  # fmt: skip


def test_devices_that_the_bundle_is_nothing_for_are_named_and_not_asked(
    made: Callable[[list[Way]], StoredWorld],
) -> None:
    stored = made([Way.GOOD] * 4)
    with writing(stored.engine) as connection:
        connection.execute(update(nodes).where(nodes.c.id == 1).values(target="jetson-orin-nano"))
        connection.execute(update(nodes).where(nodes.c.id == 2).values(target=""))
    with pytest.raises(InputError, match="Nobody would get"):
        stored.begin(POLICY, Selection(target="jetson-orin-nano"))
    with pytest.raises(InputError, match="means 3 devices by now, not 4"):
        stored.begin(POLICY, expect=4)
    with pytest.raises(InputError, match="none of these devices"):
        stored.begin(POLICY.model_copy(update={"first": "t.d0000"}))
    key = stored.begin(POLICY, expect=3)
    run(stored, key)
    last = stored.rollout(key)
    assert last.devices["t.d0000"].step is Step.UNFIT
    assert "nothing for jetson-orin-nano, only for rpi5" in last.devices["t.d0000"].why
    assert "t.d0000" not in stored.kept
    assert stored.world.models["t.d0001"].executing == NEW, "who never said what it is decides for itself"
    with reading(stored.engine) as connection:
        (listed,) = list_rollouts(connection)
        page = rollout_page(connection, key, stored.now_ms)
    assert (listed["devices"], listed["steps"]) == (3, {"confirmed": 3, "unfit": 1})
    assert [one["devices"] for one in page["gates"]] == [1, 1, 1]
    assert page["may"] == ["rollback"]


def test_without_an_address_that_devices_reach_nobody_is_told_and_it_says_why(
    made: Callable[[list[Way]], StoredWorld],
) -> None:
    stored = made([Way.GOOD] * 2)
    stored.driver.server = ""
    key = stored.begin(POLICY)
    stored.look()
    stored.tick(2 * POLICY.silent_after_s)
    stored.look()
    assert stored.kept == {}
    found = stored.rollout(key)
    assert (found.status, {one.step for one in found.devices.values()}) == (Status.RUNNING, {Step.WAITING})
    with reading(stored.engine) as connection:
        assert "--device-server" in rollout_page(connection, key, stored.now_ms)["driver"]
        assert "No service" in rollout_page(connection, key, stored.now_ms + 120_000)["driver"]


def test_without_its_bundle_nobody_is_told_and_it_says_where_it_looked(
    made: Callable[[list[Way]], StoredWorld], tmp_path: Path
) -> None:
    stored = made([Way.GOOD] * 2)
    key = stored.begin(POLICY)
    stored.driver.shelf = Shelf(tmp_path / "another")
    stored.look()
    stored.tick(2 * POLICY.silent_after_s)
    stored.look()
    assert stored.kept == {}
    assert {one.step for one in stored.rollout(key).devices.values()} == {Step.WAITING}
    with reading(stored.engine) as connection:
        assert str(tmp_path / "another") in rollout_page(connection, key, stored.now_ms)["driver"]
    # Negative control: with it, the first one is told.
    stored.driver.shelf = OneBundle(tmp_path)
    stored.look()
    assert len(stored.kept) == 1


def test_one_that_cannot_be_looked_at_holds_up_no_other(made: Callable[[list[Way]], StoredWorld]) -> None:
    stored = made([Way.GOOD] * 4)
    with writing(stored.engine) as connection:
        connection.execute(update(nodes).where(nodes.c.id <= 2).values(target="other"))
    stored.begin(POLICY, Selection(target="rpi5"))
    with writing(stored.engine) as connection:
        connection.execute(update(tables.rollouts).values(policy={"shares": "of a later version"}))
        connection.execute(update(nodes).where(nodes.c.id <= 2).values(target="rpi5"))
        connection.execute(update(nodes).where(nodes.c.id > 2).values(target="other"))
    sound = stored.begin(POLICY, Selection(target="rpi5"))
    run(stored, sound)
    assert stored.rollout(sound).status is Status.DONE


def test_devices_of_an_ended_one_that_is_asked_to_go_back_are_in_hand(
    made: Callable[[list[Way]], StoredWorld],
) -> None:
    stored = made([Way.GOOD] * 2)
    key = stored.begin(POLICY)
    run(stored, key)
    other = replace(BUNDLE, digest="sha256:" + "2" * 64)

    def begun() -> str:
        with writing(stored.engine) as connection:
            return begin(connection, other, Selection(), POLICY, actor="test", now_ms=stored.now_ms)

    with writing(stored.engine) as connection:
        order(connection, key, "rollback", actor="ann", now_ms=stored.now_ms)
    with pytest.raises(InputError, match=key):
        begun()
    run(stored, key)
    assert begun() != key


def test_a_way_back_that_is_under_trial_has_not_come_to_its_end(made: Callable[[list[Way]], StoredWorld]) -> None:
    stored = made([Way.GOOD])
    key = stored.begin(POLICY)
    run(stored, key)
    with writing(stored.engine) as connection:
        order(connection, key, "rollback", actor="ann", now_ms=stored.now_ms)

    def says(step: str) -> None:
        at = stored.now_ms
        with writing(stored.engine) as connection:
            connection.execute(
                insert(events).values(
                    stream=1, seq=at + 1, node=1, at_ms=at, received_ms=at, message="", name="update_step",
                    data={"id": OLD, "step": step},
                )
            )  # fmt: skip

    says("trial")
    for _ in range(5):
        stored.look()
        stored.tick(20)
    device = stored.rollout(key).devices["t.d0000"]
    assert (stored.world.models["t.d0000"].executing, device.step) == (OLD, Step.LEAVING)
    says("confirmed")
    run(stored, key)
    assert stored.rollout(key).devices["t.d0000"].step is Step.RETURNED


@pytest.mark.parametrize("stays", [False, True], ids=["all-back", "one-stays"])
def test_the_command_says_whether_all_came_back(
    made: Callable[[list[Way]], StoredWorld], stays: bool, tmp_path: Path
) -> None:
    stored = made([Way.GOOD] * 2)
    key = stored.begin(POLICY)
    run(stored, key)
    stored.world.models["t.d0000"].offline = stays
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(cli, ["fleet", "rollback", key, "--db", str(tmp_path / "0.db"), "--json"])
        until = time.monotonic() + 60
        while not asked.done() and time.monotonic() < until:
            stored.look()
            stored.tick(20)
            time.sleep(0.02)
        assert asked.result(1) == (3 if stays else 0)
    assert stored.rollout(key).status is Status.ROLLED_BACK
