"""The committed result of `benchmarks/soak_faults.py` holds what that command must find, no more and no less."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesdk.soak.line import Bounds
from edgesdk.soak.series import Recording
from edgesdk.soak.verdict import verdict
from edgesdk_testkit.seeded_soak_faults import KNOWN, unexpected

Results = list[dict[str, Any]]


@pytest.fixture
def committed(root: Path) -> Results:
    told: Results = json.loads((root / "benchmarks/results/soak_faults.json").read_text("utf-8"))["faults"]
    return told


def test_each_fault_was_found_by_its_own_checks_only_and_no_healthy_agent_was_blamed(committed: Results) -> None:
    assert unexpected(committed) == []
    checks = {line.check for line in verdict(Recording((), ()), Bounds())}
    assert {check for one in KNOWN.values() for check in one.found_by} <= checks


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda told: told.pop(0), "leaky model: not run once"),
        (lambda told: told.append(told[0]), "leaky model: not run once"),
        (lambda told: told.append({"fault": "rust", "failed": {}}), "rust: not known"),
        (lambda told: told[0]["failed"].clear(), "leaky model: failed by nothing instead of memory growth"),
        (lambda told: told[0]["failed"].update(age="1.5 s"), "leaky model: failed by age, memory growth instead"),
        (lambda told: told[3]["failed"].update(threads="+4"), "healthy: failed by threads instead of nothing"),
    ],
)
def test_a_result_that_is_not_as_it_must_be_is_found(
    committed: Results, damage: Callable[[Results], object], says: str
) -> None:
    told = copy.deepcopy(committed)
    damage(told)
    assert any(line.startswith(says) for line in unexpected(told))
