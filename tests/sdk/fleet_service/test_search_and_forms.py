"""The search page, and the small forms of the pages: what is found, what is kept, what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert

from edgesdk.fleet.enrol.templates import check_template
from edgesdk.fleet.service.live.node_feed import document_of
from edgesdk.fleet.service.parts import Joining
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.enrolments import list_enrolments
from edgesdk.fleet.store.tables import clips, quarantine
from edgesdk.fleet.store.templates import put_template
from edgesdk_targets.messages import ResultMessage
from edgesdk_testkit.commanded_device import utc
from edgesdk_testkit.fleet_service import FleetService, csrf_of


@pytest.fixture(scope="module")
def admin(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("admin") as client:
        yield client


def test_results_are_found_by_what_was_seen(admin: httpx.Client) -> None:
    assert "GATE 7" in admin.get("/search?label=person").text
    assert "Nothing like this was found" in admin.get("/search?label=pers").text
    assert "Nothing like this was found" in admin.get("/search?label=person&until=2020-01-01T00:00").text
    wrong = admin.get("/search?since=yesterday")
    assert wrong.status_code == 400
    assert "is no time" in wrong.text


@pytest.mark.parametrize(
    ("query", "holds"),
    [("what=events&label=crossed", "line_crossed"), ("what=events&severity=error", "camera_lost"),
     ("what=pictures&node=local.cam-0000", "/api/v1/snapshots/1/file"), ("what=commands", "Nothing like this"),
     ("what=nonsense", "<h1>Search</h1>")],
)  # fmt: skip
def test_all_that_was_is_found(admin: httpx.Client, query: str, holds: str) -> None:
    assert holds in admin.get(f"/search?{query}").text


def test_what_could_not_be_read_is_shown_to_operators(service: FleetService, admin: httpx.Client) -> None:
    assert "Everything could be read" in admin.get("/search?what=unreadable").text
    why = {"topic": "edgesdk/1/local.cam-0000/up/odd", "reason": "no schema <known>", "size_bytes": 7, "payload": b"x"}
    with writing(service.engine) as connection:
        connection.execute(insert(quarantine).values(received_ms=1, node="local.cam-0000", **why))
        connection.execute(insert(quarantine).values(received_ms=2, node=None, **why))
    page = admin.get("/search?what=unreadable").text
    assert page.count("no schema &lt;known&gt;") == 2
    assert page.count('href="/devices/local.cam-0000"') == 1
    assert 'href="/search?what=unreadable">2</a>' in admin.get("/").text
    with service.logged_in("viewer") as viewer:
        assert "no schema" not in viewer.get("/search?what=unreadable").text
        assert "what=unreadable" not in viewer.get("/search").text + viewer.get("/").text


def test_clips_are_played_or_said_to_be_elsewhere(service: FleetService, admin: httpx.Client) -> None:
    service.media.mkdir(exist_ok=True)
    (service.media / "one.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    row = {"node": 1, "camera": "door", "event": "e1", "at_ms": 10, "received_ms": 10, "size_bytes": 12, "detail": {}}
    with writing(service.engine) as connection:
        connection.execute(insert(clips).values(clip="a", state="told", **row))
        connection.execute(
            insert(clips).values(clip="b", state="here", path="one.mp4", content_type="video/mp4", **row)
        )
    page = admin.get("/search?what=clips").text
    assert "The device keeps it." in page
    address = page.partition('<video controls preload="none" src="')[2].partition('"')[0]
    assert admin.get(address).headers["content-type"] == "video/mp4"
    assert "kept by the device" in admin.get("/devices/local.cam-0000").text


def test_a_person_is_let_in_changed_and_kept_out(admin: httpx.Client) -> None:
    form = {"name": "dana", "role": "viewer", "password": "a long enough one"}
    assert admin.post("/people", data=form).status_code == 303
    assert admin.post("/people/dana", data={"role": "operator"}).status_code == 303
    assert admin.post("/people/dana", data={"disabled": "true"}).status_code == 303
    (dana,) = [one for one in admin.get("/api/v1/users").json()["users"] if one["name"] == "dana"]
    assert (dana["role"], dana["disabled"]) == ("operator", True)
    assert admin.post("/people/dana", data={"role": "king"}).status_code == 400
    for wrong in ({"name": "a b"}, {"name": "dana"}, {"name": "eve", "password": "short"}, {"role": "king"}):
        refused = admin.post("/people", data={**form, **wrong})
        assert refused.status_code == 400, wrong
        assert 'role="alert"' in refused.text


def test_a_device_is_described_by_a_form(admin: httpx.Client) -> None:
    form = {"title": "Gate <1>", "site": "Harbour", "tags": "door outdoor", "note": "two\nlines"}
    assert admin.post("/devices/local.cam-0001/describe", data=form).status_code == 303
    found = admin.get("/api/v1/devices/local.cam-0001").json()
    assert (found["title"], found["tags"], found["note"]) == ("Gate <1>", ["door", "outdoor"], "two\nlines")
    assert "Gate &lt;1&gt;" in admin.get("/devices/local.cam-0001").text
    assert admin.post("/devices/local.cam-0001/describe", data={"tags": "a<b"}).status_code == 400
    assert admin.post("/devices/local.nobody/describe", data=form).status_code == 404


def test_an_alert_is_seen_and_a_token_withdrawn(admin: httpx.Client) -> None:
    (alert,) = admin.get("/api/v1/alerts?state=firing").json()["alerts"]
    assert admin.post(f"/alerts/{alert['id']}/acknowledge").status_code == 303
    assert "seen by admin" in admin.get("/alerts").text
    made = admin.post("/api/v1/tokens", json={"name": "ci"}).json()
    assert admin.post(f"/account/tokens/{made['id']}/withdraw").status_code == 303
    assert admin.post(f"/account/tokens/{made['id']}/withdraw").status_code == 404


def test_lines_for_one_device_and_for_a_table(service: FleetService, admin: httpx.Client, tmp_path: Path) -> None:
    assert "No device can enrol at this service" in admin.get("/enrolment").text
    assert admin.post("/enrolment", data={"name": "gate-9"}).status_code == 400
    service.parts.joining = Joining("https://fleet.example.org:8443", "cGlu", "ab" * 32)
    with writing(service.engine) as connection:
        body = check_template({"bundle": "counter", "cameras": [{"name": "door", "source": "v4l2:/dev/video0"}]})
        put_template(connection, "shop", body, "admin", 1)
    assert csrf_of(admin.get("/enrolment").text)
    terms = {"server": "https://fleet.example.org:8443", "ttl": "1h"}
    one = admin.post("/enrolment", data={**terms, "name": "gate-9", "site": "Harbour", "template": "shop"})
    assert one.status_code == 200
    assert "https://fleet.example.org:8443/enrol/install.sh; } | sudo sh -s -- " in one.text
    assert "enrol-" in one.text
    table = "name,site,tags,template\n" + "".join(f"shop-{n},Mill Lane,door,shop\n" for n in range(300))
    many = admin.post("/enrolment", data={**terms, "csv": table})
    assert many.text.count("EDGESDK_ENROL_TOKEN=enrol-") == 300
    with reading(service.engine) as connection:
        given = {found.node: found for found in list_enrolments(connection)}
    assert len(given) == 301
    assert (given["local.shop-7"].site, given["local.shop-7"].tags) == ("Mill Lane", ("door",))
    wrong = admin.post("/enrolment", data={**terms, "csv": "name,tags\nok,a\nbad name,b\n"})
    assert wrong.status_code == 400
    assert "The table:3" in wrong.text
    assert str(tmp_path.parent) not in wrong.text
    assert "/tmp" not in wrong.text.partition("<form")[0]
    refused = admin.post("/enrolment", data={**terms, "server": "http://plain", "name": "gate-10", "template": "shop"})
    assert refused.status_code == 400
    service.parts.joining = None


def test_boxes_of_results_that_are_none_are_left_out() -> None:
    objects = [{"box": [1, 2, 3.25, 4], "label": "7", "score": 0.9731}, {"box": [1, 2, 3], "label": "x"},
               {"box": [1, 2, "3", 4]}, {"box": [1e9, 0, 1, 1]}, "no object", {"label": "none"}]  # fmt: skip
    message = ResultMessage(
        node="local.a", at=utc(), epoch="e", seq=1, camera="door", frame=1, captured_at=utc(), age_ms=3,
        result={"kind": "detections", "objects": objects},
    )  # fmt: skip
    told = document_of(message)
    assert told is not None
    assert told["boxes"] == [[1.0, 2.0, 3.2, 4.0, "7 0.97"]]
    plain = document_of(message.model_copy(update={"result": {"kind": "text", "text": "x"}}))
    assert plain is not None
    assert plain["boxes"] is None
