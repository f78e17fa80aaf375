"""Reports that come in a rush are gathered; those that come one by one go out at once."""

from __future__ import annotations

import pytest

from edgesdk_agent.link.rush import Rush


def _after(gaps_s: list[float]) -> Rush:
    rush, now = Rush(), 1000.0
    for gap in gaps_s:
        now += gap
        rush.sent(now)
    return rush


def test_a_film_at_full_speed_is_a_rush() -> None:
    assert 0 < _after([1 / 700] * 400).pause_s <= 0.01


def test_what_was_gathered_is_still_a_rush() -> None:
    burst = [0.006, 1e-5, 1e-5, 1e-5, 1e-5]
    assert _after([1 / 700] * 400 + burst * 40).pause_s > 0


@pytest.mark.parametrize("cameras", [1, 8, 16])
def test_live_cameras_are_none(cameras: int) -> None:
    assert _after([1 / (30 * cameras)] * 2000).pause_s == 0


def test_cameras_that_all_come_at_once_are_none() -> None:
    assert _after([1 / 30 - 8e-5, *[1e-5] * 7] * 400).pause_s == 0


def test_a_rush_ends_within_a_few_frames_of_a_camera() -> None:
    assert _after([1 / 700] * 400 + [1 / 30] * 5).pause_s == 0


def test_nothing_was_sent_yet() -> None:
    assert Rush().pause_s == 0
