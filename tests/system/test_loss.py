"""No report is lost and none is stored twice, whatever dies: a short storm; `benchmarks/loss.py` runs the long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk_testkit.kill_storm import KillStorm
from edgesdk_testkit.kill_storm_outcome import StormPlan

pytestmark = pytest.mark.system


def test_nothing_is_lost_or_stored_twice_when_broker_recorder_and_agent_are_killed(
    digits_bundle: Path, tmp_path: Path
) -> None:
    outcome = KillStorm(StormPlan("mosquitto", seed=1, kills=20, within_s=18), digits_bundle, tmp_path).run()
    assert set(outcome.kills) == {"broker", "recorder", "agent"}
    assert outcome.rows > 100
    assert (outcome.lost, outcome.duplicate_rows, outcome.left) == (0, 0, 0), outcome.to_json()


def test_an_agent_that_believes_the_broker_loses_reports(digits_bundle: Path, tmp_path: Path) -> None:
    # The control: without it, the storm above would prove nothing.
    plan = StormPlan("mosquitto", seed=1, kills=8, within_s=6, acknowledge="broker")
    outcome = KillStorm(plan, digits_bundle, tmp_path).run()
    assert outcome.lost > 0, outcome.to_json()
