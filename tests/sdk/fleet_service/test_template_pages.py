"""Templates by the dashboard's pages and by the API: written, shown with who differs, removed; a push is confirmed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import delete, update

from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.tables import nodes, template_overrides, templates
from edgesdk.fleet.store.templates import get_template, put_override
from edgesdk_targets.enrolment import configuration_digest
from edgesdk_testkit.fleet_service import FleetService

TEXT = "bundle: counter\ntelemetry:\n  interval_s: 10\n"
BODY = {"bundle": "counter", "telemetry": {"interval_s": 10}}


@pytest.fixture(scope="module")
def store_of_service() -> str:
    """A file alone: what the store does with templates is tested beside, on both."""
    return ""


@pytest.fixture(scope="module")
def admin(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("admin") as client:
        yield client


@pytest.fixture(autouse=True)
def _no_template_is_left(service: FleetService) -> Iterator[None]:
    yield
    with writing(service.engine) as connection:
        connection.execute(update(nodes).values(template=""))
        connection.execute(delete(template_overrides))
        connection.execute(delete(templates))


def follow(service: FleetService, number: int, digest: str) -> None:
    """Let a device follow the template, and report of its file."""
    with writing(service.engine) as connection:
        row = update(nodes).where(nodes.c.name == f"local.cam-{number:04}")
        connection.execute(row.values(template="shop", hardware={"configuration": digest}))


def test_a_template_is_written_shown_changed_and_removed(service: FleetService, admin: httpx.Client) -> None:
    assert "There is no template yet" in admin.get("/templates").text
    form = {"before": "", "name": "shop", "note": "every shop", "text": TEXT}
    assert admin.post("/templates", data=form).headers["location"] == "/templates/shop"
    assert admin.post("/templates", data=form).status_code == 409, "a new one does not replace another"
    page = admin.get("/templates/shop").text
    assert "interval_s: 10" in page
    assert "No device follows it yet" in page
    changed = {"before": "shop", "note": "every shop", "text": TEXT.replace("10", "5")}
    assert admin.post("/templates", data=changed).status_code == 303
    with reading(service.engine) as connection:
        found = get_template(connection, "shop")
    assert (found.version, found.body["telemetry"], found.note) == (2, {"interval_s": 5}, "every shop")
    assert "every shop" in admin.get("/templates").text
    assert admin.post("/templates/shop/delete").status_code == 303
    assert admin.get("/templates/shop").status_code == 404
    said = [one["action"] for one in admin.get("/api/v1/audit?subject=shop").json()["entries"]]
    assert said == ["template.delete", "template.put", "template.put"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("bundle: [", "The template:1"), ("- a", "is a mapping"), ("device: {name: a}", "cannot say device"),
     ("mqtt: {password: x}", "cannot say mqtt.password")],
)  # fmt: skip
def test_what_is_no_template_is_said_and_stays_in_the_form(admin: httpx.Client, text: str, says: str) -> None:
    refused = admin.post("/templates", data={"before": "", "name": "shop", "note": "", "text": text})
    assert refused.status_code == 400
    assert says in refused.text
    assert 'value="shop"' in refused.text
    assert admin.get("/api/v1/templates").json() == {"templates": []}


def test_who_differs_is_shown_first_and_why(service: FleetService, admin: httpx.Client) -> None:
    assert admin.put("/api/v1/templates/shop", json={"body": BODY}).json() == {"name": "shop", "version": 1}
    with writing(service.engine) as connection:
        put_override(connection, "shop", "site", "Mill Lane", {"telemetry": {"interval_s": 20}}, "test", 1)
    follow(service, 0, configuration_digest(BODY))
    follow(service, 1, configuration_digest(BODY))
    (brief,) = admin.get("/api/v1/templates").json()["templates"]
    assert (brief["devices"], brief["differing"]) == (2, 1), "the second stands at Mill Lane"
    told = admin.get("/api/v1/templates/shop").json()
    assert told["devices"][1] == {
        "node": "local.cam-0001", "differs": ["it is configured otherwise than the template wants it"],
    }  # fmt: skip
    assert told["overrides"] == [{"scope": "site", "name": "Mill Lane", "body": {"telemetry": {"interval_s": 20}}}]
    page = admin.get("/templates/shop").text
    assert page.index("local.cam-0001") < page.index("local.cam-0000")
    assert "At the site Mill Lane" in page
    assert "1 of 2 differs" in admin.get("/templates").text
    refused = admin.post("/templates/shop/delete")
    assert refused.status_code == 409
    assert "follows the template shop" in refused.text


def test_what_differs_at_a_site_is_written_changed_and_taken_away(service: FleetService, admin: httpx.Client) -> None:
    admin.put("/api/v1/templates/shop", json={"body": BODY})
    follow(service, 1, configuration_digest(BODY))
    form = {"scope": "site", "where": "Mill Lane", "text": "telemetry: {interval_s: 20}"}
    assert "Its name" in admin.get("/templates/shop/override").text
    assert admin.post("/templates/shop/override", data=form).headers["location"] == "/templates/shop"
    page = admin.get("/templates/shop").text
    assert "At the site Mill Lane" in page
    assert "/templates/shop/override?scope=site&amp;where=Mill%20Lane" in page
    assert "1 differs" in page, "the device there is to be otherwise now"
    assert "interval_s: 20" in admin.get("/templates/shop/override?scope=site&where=Mill%20Lane").text
    node = {"scope": "node", "name": "local.cam-0001", "body": {"telemetry": {"interval_s": 10}}}
    assert admin.put("/api/v1/templates/shop/overrides", json=node).json()["version"] == 3
    assert "all as wanted" in admin.get("/templates/shop").text, "a device's own wins over its site's"
    where = {"scope": "node", "where": "local.cam-0001"}
    assert admin.delete("/api/v1/templates/shop/overrides", params=where).json() == {"template": "shop", "version": 4}
    assert admin.delete("/api/v1/templates/shop/overrides", params=where).status_code == 404
    assert admin.post("/templates/shop/override/delete", data=form).status_code == 303
    assert admin.get("/api/v1/templates/shop").json()["overrides"] == []
    said = [one["action"] for one in admin.get("/api/v1/audit?subject=shop&limit=4").json()["entries"]]
    assert said == [*["template.override.delete"] * 2, *["template.override"] * 2]


@pytest.mark.parametrize(
    ("form", "says"),
    [({"text": "device: {name: a}"}, "cannot say device"), ({"text": "{}"}, "says nothing"), ({"text": "a: ["}, "What differs:1"),
     ({"where": ""}, "is no name of a site"), ({"scope": "node", "where": "Mill Lane"}, "is not a node"),
     ({"scope": "planet"}, "is no place")],
)  # fmt: skip
def test_what_cannot_differ_is_said_and_stays_in_the_form(admin: httpx.Client, form: dict[str, str], says: str) -> None:
    admin.put("/api/v1/templates/shop", json={"body": BODY})
    sent = {"scope": "site", "where": "Mill Lane", "text": "telemetry: {interval_s: 20}", **form}
    refused = admin.post("/templates/shop/override", data=sent)
    assert refused.status_code == 400
    assert says in refused.text.replace("&#39;", "'")
    assert admin.get("/api/v1/templates/shop").json()["overrides"] == []
    assert admin.post("/templates/nobody/override", data=sent).status_code in (400, 404)


def test_operators_change_no_template(service: FleetService) -> None:
    with service.logged_in("operator") as operator:
        body = {"scope": "site", "name": "Mill Lane", "body": {"log_level": "debug"}}
        assert operator.put("/api/v1/templates/shop/overrides", json=body).status_code == 403
        assert operator.get("/templates/shop/override").status_code == 403


def test_nothing_is_pushed_unasked_unmeant_or_without_a_broker(service: FleetService, admin: httpx.Client) -> None:
    admin.put("/api/v1/templates/shop", json={"body": BODY})
    follow(service, 0, "")
    assert "Nothing was sent." in admin.post("/templates/shop/push", data={"expect": "1"}).text
    without = admin.post("/api/v1/templates/shop/push", json={})
    assert without.status_code == 503
    assert "without a broker" in without.json()["error"]["message"]
    assert "nothing can be pushed" in admin.get("/templates/shop").text
    assert admin.post("/templates/nobody/push", data={"sure": "on"}).status_code in (404, 503)
