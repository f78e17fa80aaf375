"""Passwords, sessions, tokens, limits, headers, and what hostile requests get."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from edgesdk.fleet.service.live import event_stream
from edgesdk.fleet.service.security import passwords
from edgesdk.fleet.service.security.access import IDLE_S, LONGEST_S, Access, Limits
from edgesdk.fleet.service.security.principal import SESSION_COOKIE
from edgesdk.fleet.service.security.rate_limit import Rate, RateLimit
from edgesdk.fleet.service.security.refusals import BadRequest, TooManyRequests
from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.people import People
from edgesdk.fleet.store.tables import api_tokens, sessions, snapshots, users
from edgesdk_testkit.fleet_service import PASSWORD, FleetService, csrf_of


@pytest.fixture(scope="module")
def store_of_service() -> str:
    """A file alone: what is asked of the store here is asked of PostgreSQL by the tests beside, without their hashing."""
    return ""


def test_a_password_is_checked_and_kept_as_argon2() -> None:
    stored = passwords.hash_password(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    assert passwords.verify_password(stored, PASSWORD)
    assert not passwords.verify_password(stored, PASSWORD + "x")
    assert not passwords.verify_password(None, "the password of nobody")
    for weak in ("short", "aaaaaaaaaaaa", "superadmin", "x" * 300):
        with pytest.raises(BadRequest):
            passwords.check_new(weak, "superadmin")


def test_nothing_secret_stands_in_the_store(service: FleetService) -> None:
    with service.logged_in("viewer") as client:
        token = client.post("/api/v1/tokens", json={"name": "t"}).json()["token"]
        cookie = client.cookies[SESSION_COOKIE]
    with reading(service.engine) as connection:
        rows = [str(tuple(row)) for table in (users, sessions, api_tokens) for row in connection.execute(select(table))]
    assert rows
    assert not any(secret in row for secret in (token, cookie, PASSWORD) for row in rows)


def test_a_token_does_what_its_role_does_until_it_is_withdrawn(service: FleetService) -> None:
    with service.logged_in("operator") as owner, service.client() as program:
        assert owner.post("/api/v1/tokens", json={"name": "too much", "role": "admin"}).status_code == 403
        made = owner.post("/api/v1/tokens", json={"name": "prometheus", "role": "viewer"}).json()
        program.headers["authorization"] = f"Bearer {made['token']}"
        assert program.get("/metrics").status_code == 200
        # No cookie, so nothing to forge; but a viewer's token is a viewer.
        assert program.patch("/api/v1/devices/local.cam-0000", json={"title": "x"}).status_code == 403
        assert program.post("/api/v1/tokens", json={"name": "child"}).status_code == 403
        assert owner.delete(f"/api/v1/tokens/{made['id']}").status_code == 200
        assert program.get("/metrics").status_code == 401
        program.headers["authorization"] = "Bearer edgesdk_" + "A" * 43
        assert program.get("/metrics").status_code == 401


def test_a_token_loses_what_its_owner_loses(service: FleetService) -> None:
    service.add_user("operator", "demoted")
    with service.logged_in("demoted") as owner, service.client() as program, service.logged_in("admin") as admin:
        token = owner.post("/api/v1/tokens", json={"name": "t", "role": "operator"}).json()["token"]
        program.headers["authorization"] = f"Bearer {token}"
        change = {"title": "said by a token"}
        assert program.patch("/api/v1/devices/local.cam-0000", json=change).status_code == 200
        assert admin.patch("/api/v1/users/demoted", json={"role": "viewer"}).status_code == 200
        assert program.patch("/api/v1/devices/local.cam-0000", json=change).status_code == 403
        assert admin.patch("/api/v1/users/demoted", json={"disabled": True}).status_code == 200
        assert program.get("/metrics").status_code == 401
        assert owner.get("/api/v1/fleet").status_code == 401


def test_sessions_end(service: FleetService) -> None:
    now = [1_000_000.0]
    access = Access(People(service.engine), wall=lambda: now[0])
    user = access.people.user_named("viewer")
    assert user is not None
    idle, long = (access.begin(user, peer="127.0.0.1") for _ in range(2))
    now[0] += IDLE_S - 1
    assert access.by_session(long) is not None
    now[0] += 2
    assert access.by_session(idle) is None
    end = 1_000_000.0 + LONGEST_S
    while now[0] + IDLE_S / 2 < end:
        now[0] += IDLE_S / 2
        assert access.by_session(long) is not None
    now[0] = end
    assert access.by_session(long) is None


def test_log_out_ends_the_session_at_the_server(service: FleetService) -> None:
    with service.logged_in("viewer") as client, service.client() as thief:
        cookie = client.cookies[SESSION_COOKIE]
        thief.cookies.set(SESSION_COOKIE, cookie)
        assert thief.get("/api/v1/fleet").status_code == 200
        assert client.post("/logout").status_code == 303
        assert thief.get("/api/v1/fleet").status_code == 401


def test_the_cookie_is_kept_from_scripts_and_other_sites(service: FleetService) -> None:
    with service.client() as client:
        page = client.get("/login")
        form = {"csrf": csrf_of(page.text), "name": "viewer", "password": PASSWORD, "next": "//elsewhere.example/"}
        answer = client.post("/login", data=form)
        cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert answer.headers["location"] == "/"


def test_guessing_passwords_is_slowed_down(tmp_path: Path) -> None:
    with FleetService(tmp_path, limits=Limits()) as service:
        service.add_user("admin")
        with service.client() as client:
            token = csrf_of(client.get("/login").text)
            said = [
                client.post("/login", data={"csrf": token, "name": "admin", "password": f"guess {n}"})
                for n in range(10)
            ]
            assert [answer.status_code for answer in said[:8]] == [401] * 8
            assert said[-1].status_code == 429
            right = client.post("/login", data={"csrf": token, "name": "admin", "password": PASSWORD})
            assert right.status_code == 429, "the right password must not be told from a wrong one by then"


@given(st.integers(1, 20), st.lists(st.floats(0, 30), max_size=60))
def test_a_rate_lets_no_more_through_than_it_says(burst: int, pauses: list[float]) -> None:
    now, passed, waits = [0.0], 0, list[int]()
    limit = RateLimit(Rate(burst, 60), clock=lambda: now[0])
    for pause in pauses:
        now[0] += pause
        try:
            limit.take("somebody")
        except TooManyRequests as refused:
            waits.append(refused.retry_after_s)
        else:
            passed += 1
    assert all(wait >= 1 for wait in waits)
    assert passed <= burst + now[0] + 1


def test_the_first_admin_needs_the_code_and_is_made_once(tmp_path: Path) -> None:
    with FleetService(tmp_path) as service, service.client() as client:
        assert client.get("/").headers["location"].startswith("/login")
        assert client.get("/login").headers["location"] == "/setup"
        form = {"csrf": csrf_of(client.get("/setup").text), "name": "boss", "password": PASSWORD, "again": PASSWORD}
        assert client.post("/setup", data={**form, "code": "guessed"}).status_code == 403
        assert (
            client.post("/setup", data={**form, "again": "x", "code": service.parts.access.setup.code}).status_code
            == 400
        )
        assert service.parts.access.people.empty()
        done = client.post("/setup", data={**form, "code": service.parts.access.setup.code})
        assert done.status_code == 303
        assert client.get("/people").status_code == 200
        with service.client() as late:
            assert late.get("/setup").headers["location"] == "/login"
            token = csrf_of(late.get("/login").text)
            again = {**form, "csrf": token, "name": "second", "code": service.parts.access.setup.code}
            assert late.post("/setup", data=again).status_code == 400
        assert [user.name for user in service.parts.access.people.all()] == ["boss"]


def test_the_last_admin_stays(service: FleetService) -> None:
    with service.logged_in("admin") as client:
        assert client.patch("/api/v1/users/admin", json={"role": "viewer"}).status_code == 400
        assert client.patch("/api/v1/users/admin", json={"disabled": True}).status_code == 400


def test_every_answer_has_the_headers(service: FleetService) -> None:
    with service.client() as client:
        for path in ("/login", "/healthz", "/api/v1/fleet", "/nothing", "/static/x/y", "/?a=%00"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert "no-store" in headers["cache-control"]


def test_an_answer_to_a_failure_of_ours_has_the_headers_too(tmp_path: Path) -> None:
    router = APIRouter()

    @router.get("/fails")
    def fails() -> None:
        raise RuntimeError("a defect")

    with FleetService(tmp_path, open_routers=[router]) as service, service.client() as client:
        answer = client.get("/fails")
        assert answer.status_code == 500
        assert "a defect" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("how", ["log-out", "disabled", "token withdrawn"])
def test_a_live_connection_ends_with_the_right_to_it(
    service: FleetService, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_KEEP_ALIVE_S", 0.1)
    name = service.add_user("viewer", f"live-{how[0]}")
    with service.logged_in(name) as owner, service.client() as listener, service.logged_in("admin") as admin:
        made = owner.post("/api/v1/tokens", json={"name": "t"}).json()
        if how == "token withdrawn":
            listener.headers["authorization"] = f"Bearer {made['token']}"
        else:
            listener.cookies.set(SESSION_COOKIE, owner.cookies[SESSION_COOKIE])
        with listener.stream("GET", "/api/v1/live") as answer:
            lines = answer.iter_lines()
            assert next(line for line in lines if line == ": still here"), "it stays while it may"
            if how == "log-out":
                assert owner.post("/logout").status_code == 303
            elif how == "disabled":
                assert admin.patch(f"/api/v1/users/{name}", json={"disabled": True}).status_code == 200
            else:
                assert owner.delete(f"/api/v1/tokens/{made['id']}").status_code == 200
            for _ in lines:
                pass  # ends: httpx would give up after its timeout
        assert listener.get("/api/v1/fleet").status_code == 401


def test_one_person_has_only_so_many_live_connections(service: FleetService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_STREAMS_EACH", 2)
    service.add_user("viewer", "greedy")
    with service.logged_in("greedy") as client, service.logged_in("viewer") as other, ExitStack() as stack:
        # Kept: an iterator that is forgotten closes its connection.
        opened = [stack.enter_context(client.stream("GET", "/api/v1/live")).iter_lines() for _ in range(2)]
        assert all(next(lines).startswith("retry") for lines in opened)
        assert client.get("/api/v1/live").status_code == 429
        with other.stream("GET", "/api/v1/live") as answer:
            assert answer.status_code == 200, "others are not kept out"


def test_a_change_of_a_person_happens_whole_or_not_at_all_and_is_noted(tmp_path: Path) -> None:
    with FleetService(tmp_path) as service:
        for role in ("admin", "viewer"):
            service.add_user(role)
        people = service.parts.access.people
        with service.logged_in("admin") as client:
            before = people.user_named("admin")
            both = {"password": "another of my passwords", "role": "viewer"}
            assert client.patch("/api/v1/users/admin", json=both).status_code == 400, "the last admin"
            assert people.user_named("admin") == before, "the password is the one of before"
            assert client.get("/api/v1/users").status_code == 200, "so is the session"
            done = client.patch("/api/v1/users/viewer", json={**both, "role": "operator"})
            assert done.json()["role"] == "operator"
            (entry,) = client.get("/api/v1/audit?action=user.change").json()["entries"]
        assert (entry["subject"], entry["detail"]) == ("viewer", {"role": "operator", "password": True})


def test_bodies_and_addresses_have_limits(service: FleetService) -> None:
    with service.logged_in("operator") as client:
        large = json.dumps({"title": "x" * 400_000})
        assert client.patch("/api/v1/devices/local.cam-0000", content=large).status_code == 413
        assert client.get("/api/v1/devices?text=%00").status_code == 400
        assert client.get("/api/v1/devices?text=%ff").status_code == 400
        assert client.get("/api/v1/devices?text=" + "x" * 9000).status_code == 400


@pytest.mark.parametrize("path", ["../fleet.db", "/etc/passwd", "a/../../fleet.db", "link.jpg", "", "nothing.jpg"])
def test_no_row_leads_out_of_the_media_folder(service: FleetService, path: str) -> None:
    (service.media / "link.jpg").unlink(missing_ok=True)
    (service.media / "link.jpg").symlink_to(service.media.parent / "fleet.db")
    with writing(service.engine) as connection:
        row = connection.execute(
            insert(snapshots).values(
                node=1, snapshot=f"hostile {path}", at_ms=1, received_ms=1, content_type="text/html", path=path
            )
        ).inserted_primary_key
    assert row is not None
    with service.logged_in("viewer") as client:
        assert client.get(f"/api/v1/snapshots/{row[0]}/file").status_code == 404


def test_snapshot_ids_are_numbers_and_static_names_are_listed(service: FleetService) -> None:
    with service.logged_in("viewer") as client:
        for wrong in ("..%2f..%2ffleet.db", "1%00", "0", "-1", "1e3", str(1 << 70)):
            assert client.get(f"/api/v1/snapshots/{wrong}/file").status_code in (400, 404, 422)
        good = client.get("/api/v1/snapshots/1/file")
        assert good.headers["content-type"] == "image/jpeg"
        for wrong in ("/static/x/../../render.py", "/static/x/%2e%2e/%2e%2e/render.py", "/static/000000000000/page.js"):
            assert client.get(wrong).status_code == 404
