"""Channels by the dashboard's forms and by the API: made, tried, changed, removed; what is secret is never shown again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select

from edgesdk.fleet.alerts.notify.webhook import SIGNATURE_HEADER
from edgesdk.fleet.dashboard.forms import channel_fields
from edgesdk.fleet.store import tables_watch
from edgesdk.fleet.store.deliveries import Deliveries, deliveries
from edgesdk.fleet.store.engine import reading, writing
from edgesdk_targets.errors import InputError
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.http_receiver import HttpReceiver
from edgesdk_testkit.mail_server import mail_server

SECRET = "hush-hush-0815"
PATH = "/services/T0/B1/letmein"


@pytest.fixture(scope="module")
def admin(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("admin") as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_channel_is_left(service: FleetService) -> Iterator[None]:
    yield
    with writing(service.engine) as connection:
        connection.execute(delete(tables_watch.notifications))
        connection.execute(delete(tables_watch.channels))


def hook(receiver: HttpReceiver, **more: str) -> dict[str, str]:
    """Return the form of a webhook as a browser sends it."""
    url = f"http://127.0.0.1:{receiver.port}{PATH}"
    return {"kind": "webhook", "before": "", "name": "ops", "url": url, "secret": SECRET, "allow": "127.0.0.0/8",
            "timeout_s": "5", "enabled": "on", **more}  # fmt: skip


def test_a_webhook_is_made_tried_and_changed_without_its_secrets_being_shown(
    service: FleetService, admin: httpx.Client, receiver: HttpReceiver
) -> None:
    assert "Nobody is told yet" in admin.get("/alerts/channels").text
    assert admin.post("/alerts/channels", data=hook(receiver)).status_code == 303
    tried = admin.post("/alerts/channels/ops/test")
    assert "ops took the trial" in tried.text
    ((headers, body),) = receiver.got
    assert json.loads(body)["trial"] is True
    assert SIGNATURE_HEADER in headers
    # Left empty, URL and secret stay.
    changed = hook(receiver, before="ops", url="", secret="", timeout_s="7")
    assert admin.post("/alerts/channels", data=changed).status_code == 303
    receiver.answers = [(503, {})]
    tried = admin.post("/alerts/channels/ops/test")
    assert "The webhook answered with 503." in tried.text
    assert SIGNATURE_HEADER in receiver.got[1][0]
    # What signs for one receiver signs for no other, unless it is given again.
    elsewhere = changed | {"url": f"http://127.0.0.1:{receiver.port}/services/T0/B2/another"}
    refused = admin.post("/alerts/channels", data=elsewhere)
    assert (refused.status_code, "was given for another URL" in refused.text) == (400, True)
    unsigned = {"kind": "webhook", "settings": {"secret": None, "allow": ["127.0.0.0/8"], "timeout_s": 7}}
    assert admin.put("/api/v1/channels/ops", json=unsigned).json()["settings"].get("secret") is None
    assert admin.post("/api/v1/channels/ops/test").json()["delivered"]
    assert SIGNATURE_HEADER not in receiver.got[2][0]
    shown = [admin.get(path).text for path in ("/alerts/channels", "/alerts/channels/ops", "/api/v1/channels",
                                               "/alerts/rules", "/audit", "/api/v1/audit?action=channel.put")]  # fmt: skip
    assert f"http://127.0.0.1:{receiver.port}/***" in shown[0]
    assert 'value="7"' in shown[1]
    assert not any(secret in page for page in (*shown, tried.text) for secret in (SECRET, PATH))
    with reading(service.engine) as connection:
        stored = json.dumps(
            [dict(row) for row in connection.execute(select(tables_watch.channels.c.settings)).scalars()]
        )
    assert SECRET not in stored
    said = [(one["action"], one["outcome"]) for one in admin.get("/api/v1/audit?subject=ops").json()["entries"]]
    assert said[2:] == [
        ("channel.test", "failed"),
        ("channel.put", "ok"),
        ("channel.test", "ok"),
        ("channel.put", "ok"),
    ]


def test_what_a_person_typed_comes_back_but_for_secrets(admin: httpx.Client, receiver: HttpReceiver) -> None:
    refused = admin.post("/alerts/channels", data=hook(receiver, allow="everywhere"))
    assert refused.status_code == 400
    assert "`allow` holds what is no network" in refused.text
    assert "everywhere" in refused.text
    assert SECRET not in refused.text
    assert admin.post("/alerts/channels", data=hook(receiver)).status_code == 303
    assert admin.post("/alerts/channels", data=hook(receiver)).status_code == 409, "a new one does not replace another"
    assert admin.post("/alerts/channels", data=hook(receiver, name="two words")).status_code == 400
    assert admin.post("/alerts/channels", data={**hook(receiver), "name": "b", "kind": "pigeon"}).status_code == 400


def test_a_mail_servers_password_goes_to_no_other_server(admin: httpx.Client) -> None:
    with mail_server() as (box, port):
        local = {"kind": "email", "settings": {"host": "127.0.0.1", "port": port, "security": "none",
                                               "sender": "fleet@example.org", "recipients": ["ops@example.org"]}}  # fmt: skip
        assert admin.put("/api/v1/channels/mail", json=local).status_code == 200
        refused = admin.post("/api/v1/channels/mail/test").json()
        assert "this machine itself" in refused["problem"], "nobody asks this machine's own services what they answer"
        local["settings"]["allow"] = ["127.0.0.0/8"]
        assert admin.put("/api/v1/channels/mail", json=local).status_code == 200
        assert admin.post("/api/v1/channels/mail/test").json() == {"delivered": True, "problem": ""}
        assert [mail["Subject"] for _, mail in box.mails] == ["[TRIAL] edgesdk fleet: this channel works"]
    form = {"kind": "email", "before": "mail", "host": "mail.example.org", "port": "587", "security": "starttls",
            "enabled": "on", "username": "fleet", "password": SECRET, "sender": "fleet@example.org",
            "recipients": "a@example.org, b@example.org"}  # fmt: skip
    assert admin.post("/alerts/channels", data=form).status_code == 303
    kept = {**form, "password": "", "recipients": "a@example.org"}
    assert admin.post("/alerts/channels", data=kept).status_code == 303, "left empty, it stays"
    elsewhere = admin.post("/alerts/channels", data={**kept, "host": "mail.evil.example"})
    assert elsewhere.status_code == 400
    assert "was given for mail.example.org" in elsewhere.text
    (told,) = admin.get("/api/v1/channels").json()["channels"]
    assert (told["settings"]["password"], told["settings"]["recipients"]) == ("***", ["a@example.org"])


def test_a_channel_that_a_rule_names_stays(admin: httpx.Client, receiver: HttpReceiver) -> None:
    admin.post("/alerts/channels", data=hook(receiver))
    rule = {"name": "away", "kind": "offline_for", "limit": 300, "channels": ["ops"]}
    assert admin.put("/api/v1/alert-rules/away", json=rule).status_code == 200
    assert "named by away" in admin.get("/alerts/channels").text
    refused = admin.delete("/api/v1/channels/ops")
    assert refused.status_code == 409
    assert "The rule away tells ops." in refused.json()["error"]["message"]
    assert admin.delete("/api/v1/alert-rules/away").status_code == 200
    assert admin.post("/alerts/channels/ops/delete").status_code == 303
    assert admin.delete("/api/v1/channels/ops").status_code == 404


def test_without_a_broker_or_a_key_it_is_said(
    service: FleetService, admin: httpx.Client, receiver: HttpReceiver
) -> None:
    assert admin.put("/api/v1/channels/lamp", json={"kind": "mqtt"}).status_code == 200
    tried = admin.post("/api/v1/channels/lamp/test")
    assert tried.json() == {"delivered": False, "problem": "There is no connection to the broker."}
    seal, service.parts.seal = service.parts.seal, None
    try:
        assert admin.post("/api/v1/channels/lamp/test").status_code == 503
        refused = admin.post("/alerts/channels", data=hook(receiver))
        assert "has no key for channels" in refused.text
    finally:
        service.parts.seal = seal


def test_how_a_channel_does_is_shown(service: FleetService, admin: httpx.Client, receiver: HttpReceiver) -> None:
    admin.post("/alerts/channels", data=hook(receiver))
    told: dict[str, Any] = {"alert": 1, "transition": "firing", "attempts": 1, "due_ms": 1}
    with writing(service.engine) as connection:
        row = connection.execute(select(tables_watch.channels.c.id)).scalar_one()
        connection.execute(
            insert(tables_watch.notifications).values(channel=row, state="sent", created_ms=10, sent_ms=20, **told)
        )
        assert deliveries(connection) == {row: Deliveries(sent=1, sent_ms=20)}
        waiting = {"channel": row, "state": "waiting", "created_ms": 30, "problem": "It answered with 500.", **told}
        connection.execute(insert(tables_watch.notifications).values(**waiting))
        found = deliveries(connection)[row]
    assert found == Deliveries(sent=1, waiting=1, sent_ms=20, refused_ms=30, problem="It answered with 500.")
    assert found.troubled
    assert "Waiting to be told again: It answered with 500." in admin.get("/alerts/channels").text


def test_only_admins_see_them(service: FleetService) -> None:
    with service.logged_in("operator") as operator:
        assert operator.get("/alerts/channels").status_code == 403
        assert 'href="/alerts/channels"' not in operator.get("/alerts/rules").text


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("webhook", {"allow": ["10.0.0.0/8"], "timeout_s": 2.5}), ("mqtt", {}),
     ("email", {"host": "h", "allow": [], "port": 25, "security": "tls", "username": "u", "sender": "a@b.c",
                "recipients": ["x@y.z"]})],
)  # fmt: skip
def test_a_channels_form_says_what_the_channel_says(kind: str, settings: dict[str, Any]) -> None:
    assert channel_fields.settings_of(kind, channel_fields.shown(kind, settings)) == settings


def test_a_number_that_is_none_is_said() -> None:
    with pytest.raises(InputError, match="is no number"):
        channel_fields.settings_of("email", {"port": "many"})
