"""A look at the whole fleet: who is covered, who is told, what silences hold back, and what blindness does not say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

import pytest
from pydantic import ValidationError

from edgesdk.fleet.alerts.figures import Vital, baseline, figure
from edgesdk.fleet.alerts.round import Key, Outcome, Watched, look
from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.alerts.scope import Scope, Subject
from edgesdk.fleet.alerts.silence import Silence, Weekly

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc).timestamp()  # a Monday
AWAY = Rule(name="away", kind="offline_for", limit=300, clear_for_s=0)


def vital(node: str = "shop.a", *, offline_since: float | None = None, **known: object) -> Vital:
    site, tags = known.pop("site", ""), known.pop("tags", frozenset())
    presence = "online" if offline_since is None else "offline"
    return Vital(Subject(node, site, tags), presence, offline_since, **known)  # type: ignore[arg-type]


class Fleet:
    """Rounds one after another."""

    def __init__(self, *rules: Rule, silences: tuple[Silence, ...] = ()) -> None:
        self.rules, self.silences = rules, silences
        self.watched: Mapping[Key, Watched] = {}

    def look(self, now: float, *vitals: Vital, blind_since: float | None = None) -> Outcome:
        found = look(self.rules, vitals, self.watched, self.silences, now, blind_since=blind_since)
        self.watched = found.watched
        return found

    def told(self, now: float, *vitals: Vital) -> list[tuple[str, str, int]]:
        return [(n.rule.name, n.state, len(n.devices)) for n in self.look(now, *vitals).notices]


def test_a_site_without_power_is_one_notice() -> None:
    fleet = Fleet(AWAY)
    dark = [vital(f"shop.d{i}", offline_since=T0) for i in range(40)]
    assert fleet.told(T0 + 200, *dark) == []
    found = fleet.look(T0 + 301, *dark)
    assert len(found.notices) == 1
    assert len(found.transitions) == 40
    notice = found.notices[0]
    assert notice.title == "[WARNING] away: 40 devices"
    assert "and 20 more" in notice.text
    assert len(notice.to_json()["devices"]) == 20
    assert fleet.told(T0 + 311, *dark) == [], "told once"
    assert fleet.told(T0 + 400, *(vital(v.subject.node) for v in dark)) == [("away", "resolved", 40)]
    assert fleet.watched == {}


def test_a_fleet_that_cannot_see_says_of_nobody_that_it_is_gone() -> None:
    fleet = Fleet(AWAY)
    assert fleet.look(T0 + 1000, vital(offline_since=T0), blind_since=T0).notices == ()
    # Negative control: the same without the blindness.
    assert len(Fleet(AWAY).look(T0 + 1000, vital(offline_since=T0)).notices) == 1


def test_a_device_offline_has_no_alerts_about_its_past() -> None:
    hot = Rule(name="hot", kind="temperature_over", limit=80, for_s=0)
    assert Fleet(hot).told(T0, vital(temperature_c=90, sampled_at=T0)) == [("hot", "firing", 1)]
    assert Fleet(hot).told(T0, vital(temperature_c=90, sampled_at=T0, offline_since=T0 - 5)) == []
    assert Fleet(hot).told(T0, vital(temperature_c=90, sampled_at=T0 - 400)) == []


def test_a_rule_covers_what_its_scope_says() -> None:
    rule = AWAY.model_copy(update={"scope": Scope(sites=("berlin", "ulm"), tags=("door",))})
    devices = [
        vital("t.one", offline_since=T0, site="berlin", tags={"door", "x"}),
        vital("t.two", offline_since=T0, site="berlin"),
        vital("t.three", offline_since=T0, site="rome", tags={"door"}),
    ]
    (notice,) = Fleet(rule).look(T0 + 301, *devices).notices
    assert [told.node for told in notice.devices] == ["t.one"]


def test_what_outlasts_a_silence_is_told_at_its_end_and_what_does_not_never() -> None:
    until = datetime.fromtimestamp(T0 + 1000, timezone.utc)
    fleet = Fleet(AWAY, silences=(Silence(until=until),))
    stays, returns = vital("t.stays", offline_since=T0), vital("t.returns", offline_since=T0)
    first = fleet.look(T0 + 301, stays, returns)
    assert first.notices == ()
    assert [t.silenced for t in first.transitions] == [True, True], "they are alerts all the same"
    assert fleet.told(T0 + 600, stays, vital("t.returns")) == []
    assert fleet.told(T0 + 1000, stays, vital("t.returns")) == [("away", "firing", 1)]


def test_who_was_told_is_told_again_only_where_asked() -> None:
    fleet = Fleet(AWAY.model_copy(update={"repeat_s": 3600}))
    gone = vital(offline_since=T0)
    assert fleet.told(T0 + 301, gone) == [("away", "firing", 1)]
    assert fleet.told(T0 + 3800, gone) == []
    assert fleet.told(T0 + 3901, gone) == [("away", "still", 1)]


def test_the_same_notice_has_the_same_id_and_another_one_another() -> None:
    first, again = (Fleet(AWAY).look(T0 + 301, vital(offline_since=T0)).notices[0].id for _ in range(2))
    later = Fleet(AWAY).look(T0 + 302, vital(offline_since=T0)).notices[0].id
    assert first == again != later


def test_a_rule_that_is_gone_ends_its_alerts_without_a_word() -> None:
    fleet = Fleet(AWAY)
    fleet.look(T0 + 301, vital(offline_since=T0))
    fleet.rules = ()
    assert fleet.look(T0 + 302, vital(offline_since=T0)) == Outcome()


def test_a_device_is_measured_by_its_own_usual_rate() -> None:
    slow = Rule(name="slow", kind="fps_under", limit=0.5, for_s=0)
    usual = baseline([10.0] * 20 + [0.0, None, 2.0, 40.0])
    assert usual == 10.0
    assert figure(slow, vital(fps=4.0, fps_baseline=usual, sampled_at=T0), T0) == pytest.approx(0.4)
    assert baseline([10.0] * 5) is None
    assert figure(slow, vital(fps=0.1, fps_baseline=None, sampled_at=T0), T0) is None, "a new device has no baseline"


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        ("2026-03-02T21:30Z", True),  # Monday, 22:30 in Berlin
        ("2026-03-03T04:59Z", True),  # Tuesday 05:59, of Monday's window
        ("2026-03-03T05:00Z", False),
        ("2026-03-03T21:30Z", False),  # Tuesday evening is not asked for
        ("2026-07-06T20:30Z", True),  # in summer time, Monday 22:30
        ("2026-07-06T19:30Z", False),
    ],
)
def test_a_weekly_window_goes_by_the_clock_of_its_place(when: str, inside: bool) -> None:
    window = Weekly(days=("mon",), start="22:00", end="06:00", timezone="Europe/Berlin")
    assert window.covers(datetime.fromisoformat(when.replace("Z", "+00:00"))) is inside


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"since": "2026-01-02T00:00Z", "until": "2026-01-01T00:00Z"},
        {"until": "2026-01-02T00:00"},
        {"weekly": {"start": "25:00", "end": "26:00"}},
        {"weekly": {"start": "20:00", "end": "21:00", "timezone": "Mars/Olympus"}},
    ],
)
def test_a_silence_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Silence.model_validate(wrong)
