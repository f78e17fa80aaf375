"""A shadow wave by the driver and the store, on a file and on PostgreSQL: what devices are told, what is read of their words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.fleet.rollout.model import Rollout, Status, Step
from edgesdk.fleet.rollout.policy import Policy, ShadowRules
from edgesdk.fleet.rollout.shadow_wave import SHADOW_WAVE, members_of, plan_of
from edgesdk.fleet.service.rollouts.driver import told
from edgesdk.fleet.store import rollouts
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.rollout_pages import list_rollouts, rollout_page
from edgesdk.fleet.store.rollout_reports import read_reports
from edgesdk_testkit.rollout_store import StoredWorld, stored_world
from edgesdk_testkit.rollout_world import NEW, OLD, Way
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

RULES = ShadowRules(devices=2, lasts_s=600, differ=0.1)
POLICY = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, shares=(0.5, 1.0), shadow=RULES)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredWorld]:
    with stored_world([Way.GOOD] * 4, tmp_path / "fleet.db", tmp_path) as made:
        yield made


def updates(stored: StoredWorld) -> dict[str, str]:
    """Return what the broker asks of each device."""
    asked = {name: dict(one.state["update"]) for name, one in stored.kept.items()}  # type: ignore[call-overload]
    return {
        name: "leave" if "leave" in one else "shadow" if "shadow" in one else "install" for name, one in asked.items()
    }


def through(stored: StoredWorld, key: str) -> Rollout:
    """Let time go by until the shadow wave has passed or failed."""
    return stored.run(key, until=lambda now: now.wave != SHADOW_WAVE or now.status is not Status.RUNNING)


def test_its_devices_alone_are_told_and_of_a_shadow_run_as_the_rules_say(stored: StoredWorld) -> None:
    key = stored.begin(POLICY)
    stored.look()
    beside = {one.node for one in members_of(stored.rollout(key))}
    assert updates(stored) == dict.fromkeys(beside, "shadow")
    for one in stored.kept.values():
        update = one.state["update"]
        assert isinstance(update, dict)
        assert str(update["address"]).startswith("https://fleet.example/shelf/")
        assert update["shadow"] == plan_of(RULES)
    # As the driver reads it back; and another process, which remembers nothing, says nothing anew.
    assert {name: wish for name, (wish, _) in told(stored.rollout(key), stored.kept, {}).items()} == updates(stored)
    before = dict(stored.kept)
    stored.tick(61)
    stored.driver = stored.new_driver(Path())
    stored.look()
    assert stored.kept == before
    with reading(stored.engine) as connection:
        (listed,) = list_rollouts(connection)
        page = rollout_page(connection, key, stored.now_ms)
    assert (listed["wave"], page["shadow"]) == (0, {"devices": 2, "failed": 0, "promoted": 0})


def test_what_they_promoted_is_read_with_its_words_and_comes_to_all(store_url: str, tmp_path: Path) -> None:
    with stored_world([Way.GOOD] * 4, store_url, tmp_path) as stored:
        _promoted(stored)


def _promoted(stored: StoredWorld) -> None:
    key = stored.begin(POLICY)
    rollout = through(stored, key)
    assert rollout.wave == 0
    assert {model.executing for model in stored.world.models.values()} == {OLD}
    beside = [one.node for one in members_of(rollout)]
    with reading(stored.engine) as connection:
        words = {name: one.word for name, one in read_reports(connection, rollouts.load(connection, key)).items()}
        page = rollout_page(connection, key, stored.now_ms)
    kept = next(one for one in beside if rollout.devices[one].step is Step.SHADOWED)
    word = words[kept]
    assert word is not None
    assert (word.step, word.shadow, word.why) == ("staged", "promote", "the shadow run promotes it")
    assert page["shadow"] == {"devices": 2, "failed": 0, "promoted": 2}
    stored.look()
    # The first one goes on, without another run; who waits for its wave keeps the bundle staged.
    assert updates(stored) == {beside[0]: "install", beside[1]: "shadow"}
    assert stored.run(key).status is Status.DONE
    assert {model.executing for model in stored.world.models.values()} == {NEW}
    assert set(updates(stored).values()) == {"install"}


@pytest.mark.parametrize("verdict", ["reject", "hold"])
def test_what_one_does_not_promote_is_taken_back_and_nobody_ever_ran_it(stored: StoredWorld, verdict: str) -> None:
    for model in stored.world.models.values():
        model.verdict = verdict
    key = stored.begin(POLICY)
    rollout = through(stored, key)
    assert "did not promote it" in rollout.why
    assert "its answers differ" in rollout.why
    last = rollout if rollout.status.ended else stored.run(key)
    assert last.status is Status.ROLLED_BACK
    assert {tuple(model.history) for model in stored.world.models.values()} == {(OLD,)}
    assert set(updates(stored).values()) == {"leave"}
    assert len(updates(stored)) == RULES.devices
    with reading(stored.engine) as connection:
        page = rollout_page(connection, key, stored.now_ms)
    assert page["shadow"] == {"devices": 2, "failed": 2, "promoted": 0}
