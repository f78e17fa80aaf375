"""Who guesses passwords is stopped; who is guessed at is not: limits by name, network and known browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk.fleet.enrol.joining_limits import JoiningLimits
from edgesdk.fleet.service.security import known_browser, passwords
from edgesdk.fleet.service.security.access import Access, Limits
from edgesdk.fleet.service.security.login_limits import NAME, NETWORK, PAIR, LoginLimits
from edgesdk.fleet.service.security.network import network_of
from edgesdk.fleet.service.security.rate_limit import Rate, RateLimit
from edgesdk.fleet.service.security.refusals import LoginNeeded, TooManyRequests
from edgesdk.fleet.store.audit import AuditLog
from edgesdk.fleet.store.engine import open_store
from edgesdk.fleet.store.people import People, User
from edgesdk_testkit.fleet_service import PASSWORD, FleetService, csrf_of

ATTACKER, OWNER = "192.0.2.66", "198.51.100.7"


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Access]:
    """Access on a real store; the clock of its limits stands still, and hashes cost little."""
    from argon2 import PasswordHasher

    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(passwords, "_nobody", "")
    engine = open_store(tmp_path / "fleet.db")
    people = People(engine)
    people.add("admin", "admin", passwords.hash_password(PASSWORD))
    yield Access(people, limits=Limits(logins=LoginLimits(clock=lambda: 0.0)))
    engine.dispose()


def guess(access: Access, peer: str, times: int, name: str = "admin") -> int:
    """Return how many of the guesses were looked at."""
    tried = 0
    for number in range(times):
        try:
            access.log_in(name, f"guess {number}", peer=peer)
        except LoginNeeded:
            tried += 1
        except TooManyRequests:
            pass
    return tried


def test_a_stranger_who_guesses_does_not_keep_the_owner_out(access: Access) -> None:
    assert guess(access, ATTACKER, 100) == PAIR.burst
    with pytest.raises(TooManyRequests):
        access.log_in("admin", PASSWORD, peer=ATTACKER)
    assert access.log_in("admin", PASSWORD, peer=OWNER)[0].name == "admin"


def test_many_strangers_at_once_keep_no_known_browser_out(access: Access) -> None:
    user, _ = access.log_in("admin", PASSWORD, peer=OWNER)
    cookie = known_browser.cookie_for(user, access._wall())
    tried = sum(guess(access, f"203.0.113.{number}", 8) for number in range(30))
    assert tried == NAME.burst, "however many machines guess, the name is tried so often and no more"
    with pytest.raises(TooManyRequests):
        access.log_in("admin", PASSWORD, peer=OWNER)
    for forged in ("", "x", cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), cookie.replace(".", ".0", 1)):
        with pytest.raises(TooManyRequests):
            access.log_in("admin", PASSWORD, peer=OWNER, browser=forged)
    assert access.log_in("admin", PASSWORD, peer=OWNER, browser=cookie)[0].name == "admin"


def test_a_stolen_cookie_opens_nothing_and_guesses_no_faster(access: Access) -> None:
    user, _ = access.log_in("admin", PASSWORD, peer=OWNER)
    now = access._wall()
    cookie = known_browser.cookie_for(user, now)
    tried = 0
    for number in range(30):
        try:
            access.log_in("admin", "guess", peer=f"192.0.2.{number}", browser=cookie)
        except LoginNeeded:
            tried += 1
        except TooManyRequests:
            pass
    assert tried == PAIR.burst
    assert known_browser.browser_of(cookie, user, now)
    for stranger in (replace(user, id=user.id + 1), replace(user, password_hash="another")):
        assert not known_browser.browser_of(cookie, stranger, now)
    assert not known_browser.browser_of(cookie, user, now + known_browser.LASTS_S + 1)


def test_one_network_tries_many_names_only_so_often(access: Access) -> None:
    tried = sum(guess(access, ATTACKER, 1, name=f"user{number}") for number in range(200))
    assert tried == NETWORK.burst


def test_a_right_password_is_not_counted(access: Access) -> None:
    for _ in range(3 * NETWORK.burst):
        access.log_in("admin", PASSWORD, peer=OWNER)


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
     ("fe80::1%eth0", "fe80::/64"), ("unknown", "unknown"), ("", "")],
)  # fmt: skip
def test_an_ipv6_subscriber_is_one_however_many_addresses(address: str, network: str) -> None:
    assert network_of(address) == network


def test_other_addresses_of_one_network_make_no_more_tries_to_join() -> None:
    limits = JoiningLimits()
    for number in range(1000):
        limits.was_refused(f"2001:db8::{number:x}")
    with pytest.raises(TooManyRequests):
        limits.ask("2001:db8::ffff")
    limits.ask("2001:db8:0:1::1")


def test_who_waits_too_long_a_queue_for_a_hash_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits on a thread that could answer somebody else: so few wait."""
    taken = threading.BoundedSemaphore(2)
    monkeypatch.setattr(passwords, "_AT_ONCE", taken)
    monkeypatch.setattr(passwords, "_WAITING", threading.BoundedSemaphore(4))
    told: list[str] = []

    def log_in() -> None:
        try:
            told.append(passwords.hash_password(PASSWORD))
        except TooManyRequests:
            told.append("refused")

    with taken, taken:
        threads = [threading.Thread(target=log_in) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads[:]:
            if len(told) < 6:
                thread.join(0.5)
        assert told == ["refused"] * 6
    for thread in threads:
        thread.join(30)
    assert sum(one.startswith("$argon2id$") for one in told) == 4


def test_what_is_over_the_limit_writes_no_line_into_the_audit_log(tmp_path: Path) -> None:
    once = Rate(2, 0.001)
    often = RateLimit(Rate(10_000, 10_000))
    with FleetService(tmp_path, limits=Limits(LoginLimits(once, once, once), often, often)) as service:
        service.add_user("admin")
        with service.client() as client:
            token = csrf_of(client.get("/login").text)
            form = {"csrf": token, "name": "admin", "password": "a guess of mine"}
            assert [client.post("/login", data=form).status_code for _ in range(8)] == [401] * 2 + [429] * 6
        entries, _ = AuditLog(service.engine).page()
        assert [one.outcome for one in entries] == ["refused"] * 2


def test_logging_in_makes_the_browser_known(tmp_path: Path) -> None:
    with FleetService(tmp_path) as service, service.client() as client:
        service.add_user("viewer")
        form = {"csrf": csrf_of(client.get("/login").text), "name": "viewer", "password": PASSWORD}
        told = client.post("/login", data=form).headers.get_list("set-cookie")
        (cookie,) = [one for one in told if one.startswith(known_browser.COOKIE)]
        assert "HttpOnly" in cookie
        assert "Path=/login" in cookie
        user = service.parts.access.people.user_named("viewer")
        assert isinstance(user, User)
        assert known_browser.browser_of(cookie.partition("=")[2].partition(";")[0].strip('"'), user, 0.0)
