"""Channels against real servers on loopback: HTTP, SMTP; what is refused, what is tried again."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr
from sqlalchemy import insert

from edgesdk.fleet.alerts.channel_settings import Seal, sealed_settings
from edgesdk.fleet.alerts.notice import Notice, Told
from edgesdk.fleet.alerts.notify.delivery import Channel, NotDelivered
from edgesdk.fleet.alerts.notify.destination import refusal, resolve
from edgesdk.fleet.alerts.notify.email import Email
from edgesdk.fleet.alerts.notify.mqtt import Mqtt
from edgesdk.fleet.alerts.notify.webhook import SIGNATURE_HEADER, Webhook
from edgesdk.fleet.alerts.rule import Rule
from edgesdk.fleet.alerts.watch import AlertWatch
from edgesdk.fleet.store import alert_rules
from edgesdk.fleet.store.engine import open_store, writing
from edgesdk.fleet.store.tables import nodes, now
from edgesdk_targets.errors import InputError
from edgesdk_testkit.http_receiver import HttpReceiver
from edgesdk_testkit.mail_server import Mailbox, mail_server

AT = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)
NOTICE = Notice(
    Rule(name="hot", kind="temperature_over", limit=80), "firing", AT, (Told("shop.a", "berlin", AT, 91.5),)
)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as made:
        yield made


def webhook(receiver: HttpReceiver, path: str = "/hook", **more: Any) -> Webhook:
    more = {"allow": ("127.0.0.0/8",), "secret": SecretStr("shared"), **more}
    return Webhook("ops", f"http://127.0.0.1:{receiver.port}{path}", **more)


def test_a_webhook_is_signed_and_says_what_happened(receiver: HttpReceiver) -> None:
    webhook(receiver).send(NOTICE)
    headers, body = receiver.got[0]
    when, given = (part.partition("=")[2] for part in headers[SIGNATURE_HEADER].split(","))
    assert hmac.new(b"shared", f"{when}.".encode() + body, hashlib.sha256).hexdigest() == given
    document = json.loads(body)
    assert (document["rule"], document["state"], document["devices"][0]["value"]) == ("hot", "firing", 91.5)
    assert "shop.a (berlin) since 2026-03-02T12:00:00.000Z, 91.5 °C" in document["text"]
    assert headers["Edgesdk-Notice"] == document["id"] == NOTICE.id
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"


def problem(channel: Channel, notice: Notice = NOTICE) -> NotDelivered:
    """Return why a channel does not take a notice."""
    with pytest.raises(NotDelivered) as refused:
        channel.send(notice)
    return refused.value


def test_what_a_webhook_answers_says_whether_and_when_to_try_again(receiver: HttpReceiver) -> None:
    receiver.answers = [(503, {}), (429, {"Retry-After": "7"}), (400, {}), (500, {})]
    said = [problem(webhook(receiver)) for _ in range(4)]
    assert [(one.again, one.after_s) for one in said] == [(True, 0.0), (True, 7.0), (False, 0.0), (True, 0.0)]
    assert said[2].message == "The webhook answered with 400."
    webhook(receiver).send(NOTICE)


def test_a_receiver_that_asks_for_patience_is_given_it(receiver: HttpReceiver, tmp_path: Path) -> None:
    engine, time = open_store(tmp_path / "fleet.db"), [1_800_000_000.0]
    seal = Seal.in_file(tmp_path / "seal.key")
    settings = {"url": f"http://127.0.0.1:{receiver.port}/", "allow": ["127.0.0.0/8"], "secret": "shared"}
    with writing(engine) as connection:
        connection.execute(insert(nodes).values(id=1, name="shop.a", created_ms=0))
        connection.execute(insert(now).values(node=1, said="offline", said_ms=int(time[0] * 1000)))
        alert_rules.put_channel(connection, "hook", "webhook", sealed_settings("webhook", settings, seal), 1)
        alert_rules.put_rule(connection, Rule(name="away", kind="offline_for", limit=300), "test", 1)
    watch = AlertWatch(engine, seal, clock=lambda: time[0])
    receiver.answers = [(429, {"Retry-After": "600"}), (200, {})]
    time[0] += 301
    watch.look()
    sent = []
    for seconds in (0, 11, 500, 100):
        time[0] += seconds
        sent.append((watch.send(), len(receiver.got)))
    assert sent == [(0, 1), (0, 1), (0, 1), (1, 2)]
    engine.dispose()


def test_a_redirect_is_not_followed(receiver: HttpReceiver) -> None:
    receiver.answers = [(302, {"Location": "http://169.254.169.254/latest/meta-data"})]
    assert problem(webhook(receiver)).message == "The webhook answered with 302."
    assert len(receiver.got) == 1


def test_nobody_there_is_told(receiver: HttpReceiver) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = Webhook("ops", f"http://127.0.0.1:{closed.getsockname()[1]}/", allow=("127.0.0.1/32",))
        said = problem(nobody)
    assert "cannot be reached" in said.message
    assert said.again


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "127.0.0.1", "::1", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:169.254.169.254",
        "::ffff:127.0.0.1", "fd00:ec2::254", "100.100.100.200", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "240.0.0.1",
    ],
)  # fmt: skip
def test_no_alert_goes_to_this_machines_own_neighbourhood(address: str) -> None:
    assert refusal(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    for channel in (Webhook("ops", f"http://{host}:1/"), Email("mail", address, "a@b.c", ("d@e.f",), 1)):
        said = problem(channel)
        assert "alerts do not go there" in said.message
        assert not said.again


@pytest.mark.parametrize("written", ["2130706433", "0x7f000001", "127.1", "localhost", "017700000001"])
def test_other_ways_to_write_this_machine_are_refused_as_well(written: str) -> None:
    for channel in (Webhook("ops", f"http://{written}:1/"), Email("mail", written, "a@b.c", ("d@e.f",), 1)):
        # One way to write it is no address to some name servers, and so nothing either.
        assert "cannot be reached" not in problem(channel).message


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.1.5", "172.16.0.1", "8.8.8.8", "2001:4860:4860::8888", "fd12::1"]
)
def test_the_house_and_the_world_may_be_told(address: str) -> None:
    assert not refusal(ipaddress.ip_address(address))


def test_the_connection_goes_to_the_address_that_was_looked_at(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers the second question differently gets no second question."""
    asked = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(asked) == 1 else "169.254.169.254", port))
        ]

    monkeypatch.setattr("edgesdk.fleet.alerts.notify.destination.socket.getaddrinfo", rebinding)
    assert resolve("rebinding.example", 1, [ipaddress.ip_network("127.0.0.0/8")]) == [ipaddress.ip_address("127.0.0.1")]
    asked.clear()
    monkeypatch.undo()
    real, count = socket.getaddrinfo, []

    def counting(host: Any, *more: Any, **named: Any) -> Any:
        if host == "rebinding.example":
            count.append(host)
            return rebinding(host, more[0] if more else 0)
        return real(host, *more, **named)

    monkeypatch.setattr("socket.getaddrinfo", counting)
    Webhook("ops", f"http://rebinding.example:{receiver.port}/", allow=("127.0.0.0/8",)).send(NOTICE)
    assert count == ["rebinding.example"]
    assert receiver.got[0][0]["Host"].startswith("rebinding.example:")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/", "https://", "http://user:secret@host/", "http://a b/", "http://host:0/", "http://host:x/",
        "file:///etc/passwd", "http://h/\r\nX: y",
    ],
)  # fmt: skip
def test_what_is_no_webhook_is_refused_when_it_is_made(url: str) -> None:
    with pytest.raises(InputError) as refused:
        Webhook("ops", url)
    assert "secret@" not in str(refused.value)


# --- e-mail


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    with mail_server() as running:
        yield running


def email(port: int, **more: Any) -> Email:
    recipients = ("a@example.org", "b@example.org")
    return Email("mail", "127.0.0.1", "fleet@example.org", recipients, port, "none", allow=("127.0.0.0/8",), **more)


def test_a_mail_goes_to_the_address_that_was_looked_at(
    mailbox: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = mailbox
    real, count = socket.getaddrinfo, []

    def rebinding(host: Any, *more: Any, **named: Any) -> Any:
        if host != "rebinding.example":
            return real(host, *more, **named)
        count.append(host)
        there = "127.0.0.1" if len(count) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (there, port))]

    monkeypatch.setattr("socket.getaddrinfo", rebinding)
    local = ("127.0.0.0/8",)
    Email("mail", "rebinding.example", "a@b.c", ("d@e.f",), port, "none", allow=local).send(NOTICE)
    assert (count, len(box.mails)) == (["rebinding.example"], 1)


def test_a_mail_says_what_happened_to_all_recipients(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    email(port).send(NOTICE)
    recipients, mail = box.mails[0]
    assert recipients == ["a@example.org", "b@example.org"]
    assert mail["Subject"] == "[WARNING] hot: shop.a"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "shop.a (berlin) since 2026-03-02T12:00:00.000Z, 91.5 °C" in mail.get_content()


def test_no_text_of_a_device_becomes_a_header(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    evil = Notice(NOTICE.rule, "firing", AT, (Told("shop.a\r\nBcc: x@evil.example", "s\r\n.\r\nQUIT\r\n", AT, 1.0),))
    email(port).send(evil)
    recipients, mail = box.mails[0]
    assert mail["Bcc"] is None
    assert recipients == ["a@example.org", "b@example.org"]


def test_a_mail_server_that_refuses_is_asked_again_only_where_that_may_help(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    box.refuse = dict.fromkeys(("a@example.org", "b@example.org"), "550 no such user")
    assert not problem(email(port)).again
    box.refuse = dict.fromkeys(("a@example.org", "b@example.org"), "451 later")
    assert problem(email(port)).again
    box.refuse = {"b@example.org": "550 no such user"}
    said = problem(email(port))
    assert (said.again, len(box.mails)) == (False, 1)
    assert "1 of the recipients" in said.message


def test_mail_is_not_sent_in_the_clear_where_encryption_is_asked_for(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    channel = Email("mail", "127.0.0.1", "fleet@example.org", ("a@example.org",), port, allow=("127.0.0.0/8",))
    said = problem(channel)
    assert (said.again, box.mails) == (False, [])
    assert "encryption" in said.message


def test_mail_goes_encrypted_with_a_login_to_a_server_that_is_trusted(tmp_path: Any) -> None:
    import ssl

    from edgesdk.fleet.enrol.authority import Authority

    authority = Authority.create(tmp_path / "ca")
    pair = authority.server(["localhost"])
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    logins: list[tuple[bytes, bytes]] = []
    local = ("127.0.0.0/8", "::1/128")

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> Any:
        logins.append((login.login, login.password))
        return AuthResult(success=login.password == b"right", handled=False)

    with mail_server(tls_context=context, authenticator=check, auth_required=True) as (box, port):

        def channel(password: str, trusted: bool = True) -> Email:
            tls = ssl.create_default_context(cafile=str(tmp_path / "ca/ca.crt") if trusted else None)
            more: dict[str, Any] = {"username": "fleet", "password": SecretStr(password), "tls": tls, "allow": local}
            return Email("mail", "localhost", "fleet@example.org", ("a@example.org",), port, "starttls", **more)

        channel("right").send(NOTICE)
        assert logins == [(b"fleet", b"right")]
        assert "does not take the login" in problem(channel("wrong")).message
        assert "not trusted" in problem(channel("right", trusted=False)).message
        assert len(box.mails) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipients": ()},
        {"recipients": ("a@b\r\nBcc: c@d",)},
        {"sender": "nobody"},
        {"allow": ("everywhere",)},
        {"username": "u", "password": SecretStr("p"), "security": "none"},
    ],
)
def test_a_mail_channel_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    given = {"name": "mail", "host": "h", "sender": "a@b.c", "recipients": ("d@e.f",), **wrong}
    with pytest.raises(InputError):
        Email(**given)


# --- MQTT


def test_each_device_has_its_own_retained_alert() -> None:
    said: list[tuple[str, dict[str, Any], bool, int]] = []

    def say(topic: str, payload: bytes, *, content_type: str, expires_s: int = 0, retain: bool = False) -> None:
        said.append((topic, json.loads(payload), retain, expires_s))

    two = Notice(NOTICE.rule, "resolved", AT, (Told("shop.a", "", AT), Told("shop.b", "", AT)))
    Mqtt("mqtt", say, lambda: True).send(two)
    assert [topic for topic, *_ in said] == ["edgesdk-alerts/shop.a/hot", "edgesdk-alerts/shop.b/hot"]
    assert all(retain and expires == 7 * 86400 for *_, retain, expires in said)
    assert said[0][1]["state"] == "resolved"
    with pytest.raises(NotDelivered):
        Mqtt("mqtt", say, lambda: False).send(two)
