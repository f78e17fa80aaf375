"""Roll-outs of the agent's own program: by the same engine and store, told apart from bundles only in what a device runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from sqlalchemy import Engine, insert, select, update

from edgesdk.cli.app import run
from edgesdk.fleet.rollout.hearing import heard
from edgesdk.fleet.rollout.model import Device, Status, Step
from edgesdk.fleet.rollout.policy import Policy, ShadowRules
from edgesdk.fleet.rollout.seen import Report, Word
from edgesdk.fleet.rollout.shelf import Shelf
from edgesdk.fleet.service.rollouts.shelf_routes import address_for
from edgesdk.fleet.store import version
from edgesdk.fleet.store.address import parse
from edgesdk.fleet.store.batch import Kind, Presence, Reading, Stream
from edgesdk.fleet.store.engine import connect, open_store, reading, writing
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.rollout_orders import order
from edgesdk.fleet.store.rollout_pages import list_rollouts
from edgesdk.fleet.store.tables import nodes
from edgesdk.signing.private_key import PrivateKey
from edgesdk_targets.bundle.chunk_list import ChunkList
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Birth
from edgesdk_testkit.agent_wheels import agent_release
from edgesdk_testkit.rollout_store import AGENT, StoredWorld, stored_world
from edgesdk_testkit.rollout_world import NEW, OLD, Way
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

POLICY = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, shares=(0.5, 1.0))


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredWorld]:
    with stored_world([Way.GOOD] * 4, tmp_path / "fleet.db", tmp_path, release=AGENT) as made:
        yield made


def test_it_comes_to_all_and_one_word_brings_back_what_was_installed_before(store_url: str, tmp_path: Path) -> None:
    with stored_world([Way.GOOD] * 4, store_url, tmp_path, release=AGENT) as stored:
        _there_and_back(stored)


def _there_and_back(stored: StoredWorld) -> None:
    key = stored.begin(POLICY, expect=4)
    assert key.startswith("edgesdk-agent-0.3.0-")
    stored.look()
    ((_, wanted),) = ((name, one.state["update"]) for name, one in stored.kept.items())
    assert isinstance(wanted, dict)
    assert str(wanted["address"]).endswith("/edgesdk-agent-0.3.0.edgeagent")
    rollout = stored.run(key)
    assert rollout.status is Status.DONE
    # What a device ran before is something, though it has no digest: else it could not be known to be back.
    assert {one.before for one in rollout.devices.values()} == {"installed 0.2.0"}
    with pytest.raises(InputError, match="runs this release already"):
        stored.begin(POLICY)
    with writing(stored.engine) as connection:
        order(connection, key, "rollback", actor="ann", now_ms=stored.now_ms)
    back = stored.run(key)
    assert (back.status, {one.step for one in back.devices.values()}) == (Status.ROLLED_BACK, {Step.RETURNED})
    assert {model.executing for model in stored.world.models.values()} == {OLD}
    with reading(stored.engine) as connection:
        assert [one["kind"] for one in list_rollouts(connection)] == ["agent"]


def test_one_that_does_worse_is_halted_at_the_first_and_goes_back(tmp_path: Path) -> None:
    with stored_world([Way.WORSE] * 4, tmp_path / "fleet.db", tmp_path, release=AGENT) as stored:
        rollout = stored.run(stored.begin(POLICY))
        assert (rollout.status, rollout.wave) == (Status.ROLLED_BACK, 0)
        assert "frames a second" in rollout.why
        assert sum(NEW in model.history for model in stored.world.models.values()) == 1


def test_a_bundle_is_not_mistaken_for_an_agent(stored: StoredWorld) -> None:
    """Where a device runs a bundle of that digest, and not the agent."""
    with writing(stored.engine) as connection:
        connection.execute(update(nodes).values(bundle_digest=NEW))
    key = stored.begin(POLICY)
    stored.look()
    assert Step.CONFIRMED not in {one.step for one in stored.rollout(key).devices.values()}


def test_devices_of_another_kind_are_named_and_not_asked(stored: StoredWorld) -> None:
    others = [{"machine": "x86_64", "python": "3.11.9"}, {"machine": "aarch64", "python": "3.1.1"}, None]
    with writing(stored.engine) as connection:
        for number, hardware in enumerate(others, start=1):
            connection.execute(update(nodes).where(nodes.c.id == number).values(hardware=hardware))
    key = stored.begin(POLICY, expect=2)
    whys = [one.why for one in stored.rollout(key).devices.values() if one.step is Step.UNFIT]
    assert sorted(whys) == [
        "the agent is for Python 3.11, and not for 3.1.1",
        "the agent is for aarch64, and not for x86_64",
    ]
    assert stored.run(key).status is Status.DONE, "who never said what it is decides for itself"


def test_there_is_no_shadow_wave_of_an_agent(stored: StoredWorld) -> None:
    with pytest.raises(InputError, match="this is an agent"):
        stored.begin(POLICY.model_copy(update={"shadow": ShadowRules()}))


def test_the_shelf_takes_a_release_and_a_device_gets_its_list_by_an_address_of_its_own(tmp_path: Path) -> None:
    made = agent_release(tmp_path, "9.9.1", 3, PrivateKey.new("box"))
    shelf = Shelf(tmp_path / "shelf")
    one = shelf.put(made)
    assert (one.kind, one.version, one.release, one.path.suffix) == ("agent", "9.9.1", 3, ".edgeagent")
    assert shelf.put(made).path == one.path
    assert [found.digest for found in shelf.bundles()] == [one.digest]
    chunks = ChunkList.from_bytes(one.chunks)
    assert (chunks.kind, chunks.bundle, chunks.release) == ("agent", one.digest, 3)
    assert one.to_json()["needs"] == {**one.needs}
    engine = open_store(tmp_path / "fleet.db")
    with writing(engine) as connection:
        connection.execute(insert(nodes).values(name="local.a", created_ms=1))
        address = address_for(connection, "https://fleet.example", "local.a", one)
    engine.dispose()
    assert address.endswith(f"/{one.digest[7:]}/edgesdk-agent-9.9.1.edgeagent")


def test_the_command_takes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = str(tmp_path / "fleet.db")
    open_store(db).dispose()
    assert run(["fleet", "deploy", str(agent_release(tmp_path, "9.9.1", 3, PrivateKey.new("box"))), "--db", db]) == 2
    assert "Nobody would get this agent: no device fits the selection" in capsys.readouterr().err


def test_a_release_of_before_agents_said_which_they_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "fleet.db")
    open_store(db).dispose()
    earlier = {"edgesdk_agent/update/environment/running_agent.py": None}
    made = agent_release(tmp_path, "9.9.1", 3, PrivateKey.new("box"), earlier)
    assert run(["fleet", "deploy", str(made), "--db", db]) == 2
    told = capsys.readouterr().err
    assert "before agents said which release they run" in told
    assert "--direct" in told


def test_a_birth_says_which_release_runs_and_an_older_agents_says_none(tmp_path: Path) -> None:
    db = tmp_path / "fleet.db"

    def runs(boot: str, **more: str) -> str:
        at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        birth = Birth(node="local.a", at=at, epoch="e", seq=1, boot_id=boot, session=1, **more)  # type: ignore[arg-type]
        store = Ingest(db)
        store.commit(Reading(presences=[Presence(Stream("local.a", "e"), Kind.BIRTH, 1, "{}", birth)]))
        store.close()
        engine = open_store(db)
        with reading(engine) as connection:
            found = connection.execute(select(nodes.c.agent_digest)).scalar_one()
        engine.dispose()
        return str(found)

    assert runs("1", agent_digest=NEW) == NEW
    # The way back is to an agent that knows nothing of it: what is written must not outlive the program that said it.
    assert runs("2") == ""


@pytest.mark.parametrize(
    ("executing", "word", "step"),
    [
        ("installed 0.1.0", "stays", Step.STAYS),  # of an agent that does not say by which release it runs
        (NEW, "stays", Step.STAYS),
        (OLD, "stays", Step.RETURNED),
        ("installed 0.1.0", "rolled back", Step.RETURNED),
    ],
    ids=["an older agent", "the release", "another release", "back"],
)
def test_who_says_that_it_stays_is_not_booked_as_back(executing: str, word: str, step: Step) -> None:
    report = Report("t.a", executing, Word(word, 2.0, "the other slot is taken"), answered=3)
    asked = Device("t.a", step=Step.LEAVING, told_at=1.0, told_version=3)
    for _ in range(2):
        asked = heard(asked, report, NEW, 3.0)
        assert asked.step is step


def test_roll_outs_of_before_are_of_bundles(store_url: str) -> None:
    engine: Engine = connect(parse(store_url))
    version.upgrade(engine, "0005")
    with writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO rollouts (key, status, created_ms) VALUES ('m-1-1', 'done', 1)")
        connection.exec_driver_sql("INSERT INTO nodes (name, created_ms) VALUES ('t.a', 1)")
    engine.dispose()
    assert run(["fleet", "migrate", "--db", store_url]) == 0
    engine = open_store(store_url)
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT kind FROM rollouts").scalar_one() == "bundle"
        assert connection.exec_driver_sql("SELECT agent_digest FROM nodes").scalar_one() == ""
    engine.dispose()
