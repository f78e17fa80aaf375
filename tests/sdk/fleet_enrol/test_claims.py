"""Claims, renewals, revocation and templates on both kinds of store, without HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import event, update

from edgesdk.fleet.enrol import bundle_shelf
from edgesdk.fleet.enrol.authority import Authority, Revoked
from edgesdk.fleet.enrol.bundle_shelf import BundleShelf
from edgesdk.fleet.enrol.claims import EnrolmentDesk, Refused
from edgesdk.fleet.enrol.drift import read_drift, wanted_configuration
from edgesdk.fleet.enrol.orders import make_enrolments, order
from edgesdk.fleet.enrol.revocation import revoke
from edgesdk.fleet.store import enrolments, templates
from edgesdk.fleet.store.engine import open_store, reading, writing
from edgesdk.fleet.store.tables import nodes
from edgesdk_agent.enrol.device_key import DeviceKey
from edgesdk_targets.enrolment import Claim, Renewal, configuration_digest
from edgesdk_targets.errors import InputError
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]


@pytest.fixture
def desk(tmp_path: Path, store_url: str) -> Iterator[EnrolmentDesk]:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/person.edgebundle").write_bytes(b"x" * 100)
    engine = open_store(store_url)
    authority = Authority.create(tmp_path / "authority")
    yield EnrolmentDesk(engine, authority, "mqtts://fleet:8883", BundleShelf(tmp_path / "shelf"))
    engine.dispose()


def claim(desk: EnrolmentDesk, name: str, **more: object) -> x509.Certificate:
    given = {"camera": "0", "bundle": "person", **more}
    (made,) = make_enrolments(desk.engine, [order(name, **given)], actor="test", ttl_s=60)  # type: ignore[arg-type]
    claimed = desk.claim(Claim(token=made.token, request=DeviceKey().request()))
    assert claimed.bundle is not None
    return x509.load_pem_x509_certificate(claimed.certificate.encode())


def test_a_revoked_device_can_neither_renew_nor_fetch_and_stands_in_the_list(desk: EnrolmentDesk) -> None:
    first, other = claim(desk, "a"), claim(desk, "b")
    desk.renew(Renewal(request=DeviceKey().request()), first)
    assert len(revoke(desk.engine, desk.authority, "local.a", "stolen")) == 2
    for attempt in (lambda: desk.renew(Renewal(request=DeviceKey().request()), first), lambda: desk.holder_of(first)):
        with pytest.raises(Refused):
            attempt()
    assert str(desk.holder_of(other)) == "local.b"
    listed = x509.load_pem_x509_crl((desk.authority.folder / "crl.pem").read_bytes())
    assert listed.get_revoked_certificate_by_serial_number(first.serial_number) is not None
    assert listed.get_revoked_certificate_by_serial_number(other.serial_number) is None
    # A name that was taken back may be given again; the old certificate stays void.
    claim(desk, "a")
    with pytest.raises(Refused):
        desk.holder_of(first)


def test_of_two_revocations_at_once_both_stand_in_the_list(
    desk: EnrolmentDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has read the store and not written its list when the second comes: it must not write over the second's."""
    first, second = claim(desk, "a"), claim(desk, "b")
    reads, go_on, sign = threading.Event(), threading.Event(), Authority.revocation_list

    def slowly(authority: Authority, revoked: Iterable[Revoked]) -> bytes:
        found = list(revoked)
        if not reads.is_set():
            reads.set()
            go_on.wait(0.5)  # the other cannot come through meanwhile; without the lock it does
        return sign(authority, found)

    monkeypatch.setattr(Authority, "revocation_list", slowly)
    slow = threading.Thread(target=revoke, args=(desk.engine, desk.authority, "local.a", ""))
    slow.start()
    assert reads.wait(30)
    revoke(desk.engine, desk.authority, "local.b", "")
    go_on.set()
    slow.join(30)
    listed = x509.load_pem_x509_crl((desk.authority.folder / "crl.pem").read_bytes())
    for one in (first, second):
        assert listed.get_revoked_certificate_by_serial_number(one.serial_number) is not None


def test_a_certificate_of_another_authority_or_of_nobody_is_no_identity(desk: EnrolmentDesk, tmp_path: Path) -> None:
    claim(desk, "a")
    from edgesdk_targets.topics import Node

    other = Authority.create(tmp_path / "other").sign_device(DeviceKey().request().encode(), Node("a"))
    ours_unknown = desk.authority.sign_device(DeviceKey().request().encode(), Node("a"))
    for issued in (other, ours_unknown):
        with pytest.raises(Refused):
            desk.holder_of(x509.load_pem_x509_certificate(issued.pem.encode()))


def test_a_bundle_that_is_not_on_the_shelf_leaves_the_token_good(desk: EnrolmentDesk, tmp_path: Path) -> None:
    (made,) = make_enrolments(desk.engine, [order("a", camera="0", bundle="later")], actor="test", ttl_s=60)
    request = Claim(token=made.token, request=DeviceKey().request())
    with pytest.raises(InputError, match="later"):
        desk.claim(request)
    (tmp_path / "shelf/later.edgebundle").write_bytes(b"y")
    assert desk.claim(request).bundle is not None


def test_templates_sites_and_drift(desk: EnrolmentDesk) -> None:
    body = {"bundle": "person", "cameras": [{"name": "door", "source": "rtsp://10.0.0.9/a", "fps": 5}]}
    with writing(desk.engine) as connection:
        assert templates.put_template(connection, "door", body, "test", 1) == 1
        over = {"cameras": [{"name": "door", "source": "rtsp://10.1.0.9/a"}]}
        templates.put_override(connection, "door", "site", "berlin", over, "test", 2)
        assert templates.get_template(connection, "door").version == 2
        with pytest.raises(InputError):
            templates.put_override(connection, "gone", "site", "x", {}, "test", 2)
    claim(desk, "a", camera="", bundle="", template="door", site="berlin", tags=("x",))
    with writing(desk.engine) as connection:
        wanted = wanted_configuration(connection, "local.a")
        assert wanted["cameras"] == [{"name": "door", "source": "rtsp://10.1.0.9/a", "fps": 5}]
        (found,) = read_drift(connection, "door")
        assert found.differs == ("the device has not said how it is configured",)
        digest = {"configuration": configuration_digest({**wanted, "device": {"name": "a"}})}
        connection.execute(update(nodes).where(nodes.c.name == "local.a").values(hardware=digest))
        assert read_drift(connection)[0].differs == ()
        templates.put_template(connection, "door", {**body, "telemetry": {"interval_s": 5}}, "test", 3)
        assert read_drift(connection)[0].differs == ("it is configured otherwise than the template wants it",)
        with pytest.raises(InputError, match="follows"):
            templates.delete_template(connection, "door")


def test_a_table_of_three_hundred_is_ordered_whole_or_not_at_all(desk: EnrolmentDesk) -> None:
    orders = [order(f"d{i}", camera="0", bundle="person") for i in range(300)]
    make_enrolments(desk.engine, orders, actor="test", ttl_s=60)
    with pytest.raises(InputError, match="twice"):
        make_enrolments(desk.engine, [*orders, orders[0]], actor="test", ttl_s=60)
    with reading(desk.engine) as connection:
        found = enrolments.list_enrolments(connection)
    assert [one.state(int(time.time() * 1000)) for one in found] == ["waiting"] * 300


def test_drift_asks_the_store_as_often_for_many_devices_as_for_few(desk: EnrolmentDesk) -> None:
    body = {"bundle": "person", "cameras": [{"name": "door", "source": "rtsp://10.0.0.9/a"}]}
    with writing(desk.engine) as connection:
        templates.put_template(connection, "door", body, "test", 1)
        templates.put_override(connection, "door", "site", "berlin", {"log_level": "debug"}, "test", 2)
        templates.put_override(connection, "door", "node", "local.d1", {"bundle": "person.edgebundle"}, "test", 2)
    asked: list[str] = []

    def counted(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(desk.engine, "before_cursor_execute", counted)
    counts = []
    for number in (0, 1, 2, 3):
        claim(desk, f"d{number}", camera="", bundle="", template="door", site="berlin" if number % 2 else "rome")
        with reading(desk.engine) as connection:
            asked.clear()
            read_drift(connection)
            counts.append(len(asked))
        with writing(desk.engine) as connection:
            for name in ("local.d0", "local.d1")[: number + 1]:
                wanted = {"configuration": configuration_digest(wanted_configuration(connection, name))}
                connection.execute(update(nodes).where(nodes.c.name == name).values(hardware=wanted))
            same = {one.node: one.differs for one in read_drift(connection)}
            assert [same[name] for name in ("local.d0", "local.d1")[: number + 1]] == [()] * min(2, number + 1)
    assert len(set(counts)) == 1, counts


def test_a_bundle_is_digested_while_others_may_write(desk: EnrolmentDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one takes seconds, in which no collector could write into a file."""
    digest, wrote = bundle_shelf._digest, []

    def meanwhile(path: Path) -> str:
        # Would wait for the writer that waits for this, and give up.
        with writing(desk.engine) as connection:
            connection.execute(update(nodes).values(note="written meanwhile"))
        wrote.append(path.name)
        return digest(path)

    monkeypatch.setattr(bundle_shelf, "_digest", meanwhile)
    claim(desk, "a")
    assert wrote == ["person.edgebundle"]
