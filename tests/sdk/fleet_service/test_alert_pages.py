"""Alert rules and silences by the dashboard's forms and by the API: made, changed, removed, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.alerts.silence import Silence
from edgesdk.fleet.dashboard.forms import rule_fields, silence_fields
from edgesdk.fleet.store import alert_rules, tables_watch
from edgesdk.fleet.store.engine import reading, writing
from edgesdk_targets.errors import InputError
from edgesdk_testkit.fleet_service import FleetService

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def admin(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("admin") as client:
        yield client


def rules(service: FleetService) -> dict[str, Rule]:
    with reading(service.engine) as connection:
        return {rule.name: rule for rule in alert_rules.list_rules(connection).values()}


def fields_of(page: str) -> dict[str, str]:
    """Return the first form's fields as a browser would send them, without change."""
    form = re.search(r'<form class="card form".*?</form>', page, re.DOTALL)
    assert form
    found = {}
    for tag in re.findall(r"<input[^>]*>", form[0]):
        values = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if values.get("type") != "checkbox" or " checked" in tag:
            found[values["name"]] = values.get("value", "on")
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form[0], re.DOTALL):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        first = re.search(r'<option(?: value="([^"]*)")?>([^<]*)', options)
        one = chosen or first
        assert one
        found[name] = one[1] or one[2]
    return found


def test_a_rule_is_made_changed_and_deleted_by_forms(service: FleetService, admin: httpx.Client) -> None:
    form = fields_of(admin.get("/alerts/new-rule").text)
    made = admin.post("/alerts/rules", data={**form, "name": "away", "limit": "5", "tags": "door, indoor"})
    assert made.status_code == 303
    rule = rules(service)["away"]
    assert (rule.kind, rule.limit, rule.scope.tags, rule.enabled) == ("offline_for", 300.0, ("door", "indoor"), True)
    form = fields_of(admin.get("/alerts/rules/away").text)
    assert form["limit"] == "5"
    assert admin.post("/alerts/rules", data=form).status_code == 303
    assert rules(service)["away"] == rule, "sent without a change, nothing changes"
    del form["enabled"]
    admin.post("/alerts/rules", data={**form, "kind": "fps_under", "limit": "40", "severity": "critical"})
    rule = rules(service)["away"]
    assert (rule.kind, rule.limit, rule.severity, rule.enabled) == ("fps_under", pytest.approx(0.4), "critical", False)
    assert "switched off" in admin.get("/alerts/rules").text
    assert admin.post("/alerts/rules/away/delete").status_code == 303
    assert "away" not in rules(service)
    assert admin.post("/alerts/rules/away/delete").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"name": "two words"}, "name"), ({"limit": "hot"}, "is no number"), ({"limit": "-1"}, "limit"),
     ({"kind": "moon_phase"}, "kind"), ({"clear": "99999"}, "clear"), ({"channel.nowhere": "on"}, "is no channel")],
)  # fmt: skip
def test_a_form_that_cannot_be_is_shown_again(
    service: FleetService, admin: httpx.Client, wrong: dict[str, str], says: str
) -> None:
    form = fields_of(admin.get("/alerts/new-rule").text) | {"name": "new", "severity": "critical"} | wrong
    answer = admin.post("/alerts/rules", data=form)
    assert answer.status_code == 400
    problem = re.search(r'role="alert">([^<]*)', answer.text.partition('id="problem"')[2])
    assert problem
    assert says in problem[1]
    again = fields_of(answer.text)
    assert again["severity"] == "critical", "what was written is kept"
    assert "new" not in rules(service)


def test_a_silence_is_begun_changed_and_ended_by_forms(service: FleetService, admin: httpx.Client) -> None:
    form = fields_of(admin.get("/alerts/silences?node=local.cam-0001&rule=too-warm").text)
    assert (form["nodes"], form["rule.too-warm"]) == ("local.cam-0001", "on")
    assert admin.post("/alerts/silences", data={**form, "reason": "works", "lasts": "4"}).status_code == 303
    ((row, silence),) = silences(service).items()
    assert (silence.rules, silence.scope.nodes, silence.reason) == (("too-warm",), ("local.cam-0001",), "works")
    form = fields_of(admin.get(f"/alerts/silences/{row}").text)
    assert form["instead_of"] == str(row)
    weekly = {"lasts": "weekly", "start": "22:00", "end": "06:00", "timezone": "Europe/Berlin"}
    assert admin.post("/alerts/silences", data={**form, **weekly}).status_code == 303
    ((other, changed),) = silences(service).items()
    assert other != row
    assert changed.weekly is not None
    assert (changed.weekly.timezone, changed.reason) == ("Europe/Berlin", "works")
    assert admin.post("/alerts/silences", data={**form, **weekly}).status_code == 404, "its place is taken already"
    assert admin.post(f"/alerts/silences/{other}/end").status_code == 303
    assert silences(service) == {}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"lasts": "ever"}, "how long"), ({"lasts": "until", "until": "soon"}, "is no time"),
     ({"lasts": "until", "until": "2020-01-01T00:00"}, "over already"),
     ({"lasts": "weekly", "timezone": "Mars/Olympus"}, "time zone"), ({"lasts": "weekly", "start": "25:00"}, "start")],
)  # fmt: skip
def test_a_silence_that_cannot_be_is_said(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(InputError) as refused:
        silence_fields.silence_of(silence_fields.blank() | wrong, NOW)
    assert says in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    "silence",
    [Silence(until=NOW + timedelta(hours=3), rules=("a", "b"), reason="x"),
     Silence.model_validate({"weekly": {"days": ["mon"], "start": "01:00", "end": "02:00"}, "scope": {"sites": ["A"]}})],
)  # fmt: skip
def test_a_silences_form_says_what_the_silence_says(silence: Silence) -> None:
    shown = {name: value for name, value in silence_fields.shown(silence).items() if value}
    if silence.weekly is not None:
        # A day that is not meant has no tick.
        shown = {name: value for name, value in shown.items() if not name.startswith("day.") or name == "day.mon"}
    assert silence_fields.silence_of(shown, NOW) == silence


@pytest.mark.parametrize("kind", list(rule_fields.KINDS))
def test_a_rules_form_says_what_the_rule_says(kind: Any) -> None:
    rule = Rule(name="r", kind=kind, limit=0.3, for_s=90, repeat_s=3600, channels=("ops",), enabled=False)
    assert rule_fields.rule_of(rule_fields.shown(rule)) == rule


def test_the_same_by_the_api(service: FleetService, admin: httpx.Client) -> None:
    rule = {"name": "hot", "kind": "temperature_over", "limit": 80}
    assert admin.put("/api/v1/alert-rules/hot", json=rule).json()["for_s"] == 60
    assert admin.put("/api/v1/alert-rules/cold", json=rule).status_code == 400
    assert admin.put("/api/v1/alert-rules/hot", json={**rule, "limit": 0}).status_code == 422
    assert "hot" in [one["name"] for one in admin.get("/api/v1/alert-rules").json()["rules"]]
    until = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    row = admin.post("/api/v1/silences", json={"until": until}).json()["id"]
    other = admin.put(f"/api/v1/silences/{row}", json={"until": until, "reason": "later"}).json()["id"]
    assert [one["id"] for one in admin.get("/api/v1/silences").json()["silences"]] == [other]
    assert admin.delete(f"/api/v1/silences/{other}").status_code == 200
    assert admin.delete(f"/api/v1/silences/{other}").status_code == 404
    assert admin.delete("/api/v1/alert-rules/hot").status_code == 200
    noted = [one["action"] for one in admin.get("/api/v1/audit?limit=6").json()["entries"]]
    assert noted[:2] == ["alert-rule.delete", "silence.end"]


def test_who_may_what(service: FleetService) -> None:
    with service.logged_in("operator") as operator, service.logged_in("viewer") as viewer:
        assert operator.get("/alerts/new-rule").status_code == 403
        assert "New rule" not in operator.get("/alerts/rules").text
        assert "Be silent" in operator.get("/alerts/silences").text
        assert "Be silent" not in viewer.get("/alerts/silences").text
        assert viewer.post("/alerts/silences", data={"lasts": "1"}).status_code == 403


def silences(service: FleetService) -> dict[int, Silence]:
    with reading(service.engine) as connection:
        return alert_rules.list_silences(connection, int(datetime.now(timezone.utc).timestamp() * 1000))


@pytest.fixture(autouse=True)
def _no_silence_is_left(service: FleetService) -> Iterator[None]:
    yield
    with writing(service.engine) as connection:
        for row in alert_rules.list_silences(connection, 0):
            connection.execute(delete(tables_watch.silences).where(tables_watch.silences.c.id == row))
