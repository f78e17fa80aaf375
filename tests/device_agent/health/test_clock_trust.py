"""The clock at 1970, set right, and jumping; ages and rates are another test's (`tests/system/test_agent_clock.py`)."""

from __future__ import annotations

from edgesdk_agent.health.clock_trust import ClockTrust

NOW = 1_795_000_000.0


def test_a_clock_before_this_software_was_made_is_not_believed() -> None:
    trust = ClockTrust()
    assert not trust.read(0.0, 10.0).trusted
    assert "not set" in trust.read(5.0, 15.0).reason
    assert not trust.read(NOW + 60 * 365 * 86400, 20.0).trusted


def test_a_clock_that_is_set_is_believed_when_it_has_run_evenly() -> None:
    trust = ClockTrust(settle_s=60.0)
    assert not trust.read(100.0, 10.0).trusted
    said = trust.read(NOW, 15.0)
    assert not said.trusted
    assert "was set" in said.reason
    assert not trust.read(NOW + 30, 45.0).trusted
    assert trust.read(NOW + 61, 76.0).trusted
    assert trust.steps == 1


def test_a_jump_forward_is_seen_and_the_daily_nudge_of_a_time_server_is_not() -> None:
    trust = ClockTrust()
    assert trust.read(NOW, 0.0).trusted
    assert trust.read(NOW + 5.4, 5.0).trusted
    assert not trust.read(NOW + 3610.0, 10.0).trusted
    assert trust.steps == 1
