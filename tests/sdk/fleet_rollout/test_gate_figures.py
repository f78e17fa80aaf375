"""What the gate goes by: how a device did before outlives its samples, is spread over its time, and is not read at every look."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select

from edgesdk.fleet.rollout.health import Figures
from edgesdk.fleet.rollout.model import Rollout, Status, Step
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.service.rollouts import gate_figures
from edgesdk.fleet.store import rollups
from edgesdk.fleet.store.batch import Kind
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.rollout_baselines import Baseline, read_baselines
from edgesdk.fleet.store.rollout_figures import figures_after, figures_before
from edgesdk.fleet.store.tables import records, rollout_baselines, sample_minutes, samples
from edgesdk_testkit.rollout_store import StoredWorld, stored_world
from edgesdk_testkit.rollout_world import OLD, Way
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

POLICY = Policy(soak_s=100, reports=3, silent_after_s=400, baseline_s=200, shares=(0.5, 1.0))
START_MS = 1_700_000_000_000


@pytest.fixture
def stored(store_url: str, tmp_path: Path) -> Iterator[StoredWorld]:
    with stored_world([Way.WORSE] * 3, store_url, tmp_path) as made:
        yield made


def first_confirmed(rollout: Rollout) -> bool:
    return any(one.step is Step.CONFIRMED for one in rollout.devices.values())


def forget_samples(stored: StoredWorld) -> None:
    """Do what retention does after two days."""
    with writing(stored.engine) as connection:
        connection.execute(delete(samples))


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "control"])
def test_a_device_is_judged_by_what_it_did_before_though_its_samples_are_gone(stored: StoredWorld, kept: bool) -> None:
    key = stored.begin(POLICY)
    stored.look()
    stored.tick(1)
    stored.look()
    forget_samples(stored)
    if not kept:
        with writing(stored.engine) as connection:
            connection.execute(delete(rollout_baselines))
    # Another process goes on, which remembers nothing.
    stored.driver = stored.new_driver(Path())
    stored.tick(61)
    last = stored.run(key)
    assert last.status is Status.ROLLED_BACK
    assert "frames a second" in last.why
    assert {model.executing for model in stored.world.models.values()} == {OLD}
    # Without what is kept it lets the first one pass, and sees it only on those that have reported since.
    assert (last.wave == 0) is kept


def test_one_that_was_away_for_longer_is_judged_by_its_last_minutes(stored: StoredWorld) -> None:
    for _ in range(10):
        stored.tick(20)
    rollups.roll(stored.engine, now_ms=stored.now_ms)
    forget_samples(stored)
    # All were away for three days, and nothing else is known of them.
    stored.world.now += 3 * 86400
    key = stored.begin(POLICY)
    last = stored.run(key)
    assert last.status is Status.ROLLED_BACK
    assert "frames a second" in last.why


def test_figures_are_compared_at_a_tenth_of_the_soak_and_not_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counted(connection: Connection, node: int, *times: int, **more: Any) -> Any:
        read.append(times[-1])
        return figures_after(connection, node, *times, **more)

    monkeypatch.setattr(gate_figures, "figures_after", counted)
    slow = POLICY.model_copy(update={"soak_s": 1000})
    with stored_world([Way.GOOD] * 6, tmp_path / "fleet.db", tmp_path) as stored:
        key = stored.begin(slow)
        stored.run(key, until=first_confirmed)
        read.clear()
        began = stored.now_ms
        while stored.now_ms - began < 800_000:
            stored.look()
            stored.tick(5)
        times = sorted(set(read))
        assert 7 <= len(times) <= 9, "a hundred and sixty looks"
        # All of one moment, those that they are compared with too.
        assert {read.count(at) for at in times} == {6}
        stored.run(key)


def test_whoever_has_its_turn_is_looked_at_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_figures, "_TOLD_S", 0.0)
    with stored_world([Way.GOOD] * 9, tmp_path / "fleet.db", tmp_path) as stored:
        key = stored.begin(POLICY.model_copy(update={"shares": (1.0,), "soak_s": 20}))
        stored.run(key, until=lambda now: now.wave == 1)
        counts = []
        for _ in range(10):
            stored.look()
            with reading(stored.engine) as connection:
                counts.append(len(connection.execute(select(rollout_baselines)).all()))
        assert counts[-1] == 9
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(counts))


def _sample(at_ms: int, fps: float, captured: int) -> dict[str, Any]:
    return {"node": 1, "at_ms": at_ms, "fps": round(fps * 100), "captured": captured, "latency_ms": '{"infer":[4,9]}'}


def test_the_time_before_is_the_whole_of_it_and_restarts_are_counted_between_all(tmp_path: Path) -> None:
    with stored_world([Way.GOOD], tmp_path / "fleet.db", tmp_path) as stored:
        forget_samples(stored)
        # Two of three samples were made by night, at half the rate; the newest two hundred would only know the day.
        rows = [_sample(START_MS + 1000 * n, 10 if n < 2000 else 20, captured=n % 400) for n in range(3000)]
        with writing(stored.engine) as connection:
            connection.execute(insert(samples), rows)
            found = figures_before(connection, 1, START_MS + 3_000_000, 3_000_000)
            day = figures_before(connection, 1, START_MS + 3_000_000, 900_000)
            newest = figures_after(connection, 1, START_MS, START_MS + 3_000_000, newest=500)
    assert (found.fps, day.fps) == (10, 20)
    assert 100 <= found.samples <= 400
    assert found.latency_ms == 4
    # Each time the counter began anew, whether one of the samples that are looked at shows it or not.
    assert (found.restarts, newest.restarts) == (7, 7)
    # As many as a policy asks for.
    assert newest.samples == 500


def test_results_that_take_turns_with_other_reports_are_seen(tmp_path: Path) -> None:
    with stored_world([Way.GOOD], tmp_path / "fleet.db", tmp_path) as stored:
        rows = [
            {
                "stream": 1, "seq": n, "node": 1, "kind": int(Kind.RESULT if n % 2 else Kind.TELEMETRY),
                "at_ms": START_MS + n, "received_ms": START_MS, "labels": "|car|" if n % 2 else None, "body": "{}",
            }
            for n in range(1300)
        ]  # fmt: skip
        with writing(stored.engine) as connection:
            connection.execute(insert(records), rows)
            found = figures_after(connection, 1, START_MS, START_MS + 10_000, newest=20)
    assert found.results >= 300
    assert set(found.seen) == {"car"}


def test_minutes_hold_what_a_device_did(tmp_path: Path) -> None:
    with stored_world([Way.GOOD], tmp_path / "fleet.db", tmp_path) as stored:
        forget_samples(stored)
        minute = {"node": 1, "n": 6, "fps_n": 6, "fps_sum": 12_000, "memory_bytes_n": 3, "memory_bytes_sum": 3 * 97_656}
        with writing(stored.engine) as connection:
            connection.execute(insert(sample_minutes), [{**minute, "at_ms": START_MS + 60_000 * n} for n in range(10)])
            found = figures_before(connection, 1, START_MS + 86_400_000, 300_000)
            # A minute in which its turn came is not before it.
            none = figures_before(connection, 1, START_MS + 59_000, 300_000)
    assert (found.samples, found.fps) == (5, 20)
    assert found.memory_mb == pytest.approx(100, rel=0.01)
    assert none.samples == 0


def test_what_another_release_kept_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    with stored_world([Way.GOOD] * 2, tmp_path / "fleet.db", tmp_path) as stored:
        key = stored.begin(POLICY)
        stored.look()
        with writing(stored.engine) as connection:
            connection.execute(delete(rollout_baselines))
            row = {"rollout": 1, "node": 1, "until_ms": 5, "figures": {"samples": 7, "fps": 12.5, "watts": 3}}
            connection.execute(insert(rollout_baselines), [row])
            found = read_baselines(connection, 1)
        assert found == {1: Baseline(5, Figures(samples=7, fps=12.5))}
        stored.driver = stored.new_driver(tmp_path)
        stored.tick(61)
        assert stored.run(key).status is Status.DONE


def test_figures_of_a_device_that_a_backup_took_away_are_not_kept(tmp_path: Path) -> None:
    with stored_world([Way.GOOD] * 3, tmp_path / "fleet.db", tmp_path) as stored:
        key = stored.begin(POLICY)
        stored.look()
        (gate,) = stored.driver._gates.values()
        gate.unwritten[999] = Baseline(5, Figures())
        assert stored.run(key).status is Status.DONE
        assert gate.unwritten == {}
        with reading(stored.engine) as connection:
            assert set(read_baselines(connection, 1)) == {1, 2, 3}
