"""Who comes when: a stable order, waves that grow, and hours."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgesdk.fleet.rollout.hours import is_open, room
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.waves import assigned, wave_of_late, wave_sizes

SHARES = (0.01, 0.1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("devices", "sizes"),
    [(0, []), (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (10, [1, 5, 10]), (1000, [1, 10, 100, 500, 1000])],
)
def test_waves_grow_and_none_is_empty(devices: int, sizes: list[int]) -> None:
    assert wave_sizes(devices, SHARES) == sizes


@given(st.sets(st.text("abcdef.-", min_size=1, max_size=8), max_size=60), st.text(max_size=5))
def test_everybody_has_a_turn_once_and_whoever_computes_it_comes_to_the_same(nodes: set[str], key: str) -> None:
    found = assigned(key, nodes, SHARES)
    assert set(found) == nodes
    assert found == assigned(key, sorted(nodes, reverse=True), SHARES)
    sizes = wave_sizes(len(nodes), SHARES)
    counts = Counter(found.values())
    assert [sum(counts[wave] for wave in range(upto + 1)) for upto in range(len(sizes))] == sizes


def test_another_rollout_begins_with_another_device_unless_one_is_named() -> None:
    nodes = [f"t.d{number}" for number in range(200)]
    first = {next(name for name, wave in assigned(f"r{key}", nodes, SHARES).items() if wave == 0) for key in range(30)}
    assert len(first) > 20
    assert assigned("r1", nodes, SHARES, "t.d7")["t.d7"] == 0


def test_who_joins_late_is_never_the_first_and_never_beyond_the_last() -> None:
    waves = Counter(wave_of_late("r", f"t.late{number}", SHARES, 5) for number in range(1000))
    assert waves[0] == 0
    assert max(waves) == 4
    assert waves[4] > waves[3] > waves[2] > waves[1] > 0
    assert wave_of_late("r", "t.late", SHARES, 1) == 0


@pytest.mark.parametrize(
    ("hours", "zone", "time", "is_so"),
    [
        ("", "UTC", "12:00", True), ("22:00-05:30", "UTC", "23:00", True), ("22:00-05:30", "UTC", "05:29", True),
        ("22:00-05:30", "UTC", "05:30", False), ("08:00-09:00", "UTC", "08:30", True),
        ("08:00-09:00", "UTC", "09:00", False), ("22:00-05:30", "Europe/Berlin", "21:30", True),
    ],
)  # fmt: skip
def test_hours_are_those_of_their_zone(hours: str, zone: str, time: str, is_so: bool) -> None:
    at = datetime.fromisoformat(f"2026-01-15T{time}").replace(tzinfo=timezone.utc).timestamp()
    assert is_open(hours, zone, at) is is_so


def test_so_many_a_minute() -> None:
    assert room(0, [1.0] * 50, 2.0) is None
    assert room(5, [100.0, 130.0, 159.0], 160.0) == 3
    assert room(2, [100.5, 101.0, 102.0], 160.0) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": [0.5, 0.1]}, {"shares": []}, {"hours": "25:00-01:00"}, {"hours": "10:00-10:00"}, {"success": 0},
        {"zone": "Nowhere/At-all"}, {"zone": "../../etc/passwd"}, {"soak_s": -1}, {"wave": 3},
        {"health": {"fps": 1.2}}, {"on_breach": "pray"},
    ],
    ids="-".join,
)  # fmt: skip
def test_rules_that_cannot_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(wrong)
