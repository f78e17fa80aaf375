"""How figures, times and little lines read."""

from __future__ import annotations

from typing import Any

import pytest

from edgesdk.fleet.dashboard.sparkline import sparkline
from edgesdk.fleet.dashboard.words import NONE, ago, alert_says, duration, figure, iso, size
from edgesdk.fleet.service.collector_process import CollectorProcess, unrecorded
from edgesdk.fleet.service.live.event_stream import event
from edgesdk.fleet.service.metrics import _metric


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "60 min"), (7200, "2 h"), (86400 * 3, "3 d")]
)
def test_a_duration_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_collector_that_starts_alarms_nobody_unless_it_takes_long_or_starts_again() -> None:
    told: dict[str, Any] = {}
    process = CollectorProcess([], {}, told)
    assert told["problem"] == "The collector is starting."
    assert unrecorded(told) == ""
    assert unrecorded({**told, "since": told["since"] - 11}) == "The collector is starting."
    assert unrecorded({**told, "restarts": 1}) == "The collector is starting."
    process._tell("The disk is full.")
    assert unrecorded(told) == "The disk is full."
    process._tell("")
    assert unrecorded(told) == unrecorded({}) == ""


def test_times_are_said_from_now() -> None:
    assert ago(None, 10_000) == "never"
    assert ago(9_000, 10_000) == "now"
    assert ago(0, 120_000) == "2 min ago"
    assert ago(120_000, 0) == "in 2 min"
    assert iso(0) == "1970-01-01T00:00:00+00:00"


def test_what_is_not_known_is_a_dash() -> None:
    assert figure(None) == size(None) == NONE
    assert figure(1234.56, 1, "fps") == "1,234.6 fps"
    assert size(1_500_000) == "1.5 MB"


def test_a_line_breaks_where_nothing_came() -> None:
    drawn = str(sparkline([1, 2, None, 3, 4], "fps"))
    assert drawn.count("M") == 2
    assert 'aria-label="fps"' in drawn
    assert "path" not in str(sparkline([None, None], "fps"))
    assert "path" not in str(sparkline(None, "fps"))
    assert "h.1" in str(sparkline([None, 5, None], "fps")), "a minute that stands alone is a dot"


def test_a_label_cannot_leave_the_picture() -> None:
    assert "<script>" not in str(sparkline([1], '"><script>'))


def test_a_label_cannot_forge_a_metric() -> None:
    (_, _, line) = _metric("m", "Words.", [({"node": 'a"} 1\nforged 2'}, 1.0)])
    assert line == 'm{node="a\\"} 1\\nforged 2"} 1'


def test_an_alert_says_its_figure() -> None:
    assert alert_says("hot", "temperature_over", 81.52) == "hot: 81.5 °C"
    assert alert_says("away", "offline_for", 7200) == "away: offline for 2 h"
    assert alert_says("x", "unknown", 3.0) == alert_says("x", "age_over", None) == "x"


def test_an_event_is_one_block() -> None:
    assert event("fleet", '{"a": 1}', event_id=3) == 'id: 3\nevent: fleet\ndata: {"a": 1}\n\n'
