"""The way to the devices and back, over a real broker: commands and replies, one and many; live results; pictures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from edgesdk.fleet.broker import Broker
from edgesdk.fleet.service import commander
from edgesdk.fleet.store.engine import writing
from edgesdk.fleet.store.numbering import count_on
from edgesdk.fleet.store.tables import node_tags, nodes
from edgesdk_targets.messages import Command, Encoded, encode
from edgesdk_testkit.commanded_device import CommandedDevice
from edgesdk_testkit.fleet_service import FleetService

pytestmark = pytest.mark.system


def until(what: Callable[[], Any], patience_s: float = 15.0) -> Any:
    end = time.monotonic() + patience_s
    waiting = threading.Event()
    while not (found := what()):
        assert time.monotonic() < end, "never"
        waiting.wait(0.03)
    return found


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, broker: Broker, store_of_service: str) -> Iterator[FleetService]:
    made = FleetService(tmp_path_factory.mktemp("fleet"), broker=broker.address, db=store_of_service)
    with writing(made.engine) as connection:
        for number in (1, 2, 3):
            connection.execute(insert(nodes).values(id=number, name=f"local.gate-{number}", created_ms=1))
            connection.execute(insert(node_tags).values(node=number, tag="doors" if number < 3 else "roof"))
        count_on(connection, ["nodes"], {})
    for role in ("viewer", "operator"):
        made.add_user(role)
    with made:
        sender = made.parts.commander
        assert sender is not None
        until(lambda: sender.connected)
        yield made


@pytest.fixture
def operator(service: FleetService) -> Iterator[httpx.Client]:
    with service.logged_in("operator") as client:
        yield client


def command(client: httpx.Client, number: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/api/v1/commands/{number}").json()
    return answer


def test_a_command_is_done_and_its_replies_are_kept(operator: httpx.Client, broker: Broker) -> None:
    with CommandedDevice(broker.address) as device:
        sent = operator.post("/api/v1/commands", json={"node": device.node, "verb": "birth"})
        assert sent.status_code == 202, sent.text
        (number,) = sent.json()["ids"]
        over = until(lambda: (c := command(operator, number))["state"] == "done" and c)
        assert (over["ok"], over["message"], over["actor"]) == (True, "as you say", "operator")
        assert [told.id for told in device.commands] == [number]
        assert (
            next(one["id"] for one in operator.get("/api/v1/commands?node=local.gate-1").json()["commands"]) == number
        )


def test_a_refusal_says_why(operator: httpx.Client, broker: Broker) -> None:
    with CommandedDevice(broker.address, refuses=("dance",)) as device:
        (number,) = operator.post("/api/v1/commands", json={"node": device.node, "verb": "dance"}).json()["ids"]
        over = until(lambda: (c := command(operator, number))["state"] == "refused" and c)
        assert (over["ok"], over["code"]) == (False, "unknown")


def test_who_does_not_answer_has_expired(operator: httpx.Client) -> None:
    (number,) = operator.post("/api/v1/commands", json={"node": "local.gate-3", "verb": "birth", "within_s": 1}).json()[
        "ids"
    ]
    assert until(lambda: command(operator, number)["state"] == "expired")


def test_many_at_once_by_tag_and_only_as_many_as_were_meant(operator: httpx.Client, broker: Broker) -> None:
    asked = {"selection": {"tags": ["doors"]}, "verb": "birth", "expect": 3}
    wrong = operator.post("/api/v1/commands", json=asked)
    assert wrong.status_code == 400
    with CommandedDevice(broker.address, "local.gate-1") as one, CommandedDevice(broker.address, "local.gate-2") as two:
        sent = operator.post("/api/v1/commands", json={**asked, "expect": 2}).json()
        assert sent["devices"] == 2
        until(lambda: one.commands and two.commands)

        def states() -> list[str]:
            return [c["state"] for c in operator.get(f"/api/v1/commands?bulk={sent['bulk']}").json()["commands"]]

        assert until(lambda: states() == ["done", "done"])


def test_very_many_at_once_are_sent_no_faster_than_the_broker_answers(
    service: FleetService, operator: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a broker lets wait unanswered; made and encoded elsewhere than where everybody is answered."""
    with writing(service.engine) as connection:
        rows = [{"name": f"mill.cam-{number}", "created_ms": 1} for number in range(600)]
        connection.execute(insert(nodes), rows)
    where = set()

    def told(message: Command) -> Encoded:
        where.add(threading.current_thread())
        return encode(message)

    monkeypatch.setattr(commander, "encode", told)
    asked = {"selection": {"tenant": "mill"}, "verb": "birth", "expect": 600}
    sent = operator.post("/api/v1/commands", json=asked)
    assert sent.status_code == 202, sent.text
    assert len(set(sent.json()["ids"])) == 600
    assert where.isdisjoint({service._thread})
    some = operator.get(f"/api/v1/commands?bulk={sent.json()['bulk']}&limit=500").json()["commands"]
    assert {one["state"] for one in some} == {"sent"}


@pytest.mark.parametrize(
    "body",
    [{"verb": "birth"}, {"verb": "birth", "node": "a.b", "selection": {}}, {"verb": "B!", "node": "local.gate-1"},
     {"verb": "x", "node": "local.nobody"}, {"verb": "x", "selection": {"state": "drop table"}}, {"verb": "x", "nodes": []},
     {"verb": "x", "node": "local.gate-1", "within_s": 1e9}, {"verb": "x", "node": "+/#"}],
)  # fmt: skip
def test_what_is_no_command_is_refused(operator: httpx.Client, body: dict[str, object]) -> None:
    assert operator.post("/api/v1/commands", json=body).status_code in (400, 404, 422)


def test_a_reply_of_another_device_is_not_taken(operator: httpx.Client, broker: Broker) -> None:
    """Who guesses a command's id still cannot answer for the device that was asked."""
    (number,) = operator.post("/api/v1/commands", json={"node": "local.gate-3", "verb": "birth"}).json()["ids"]
    with CommandedDevice(broker.address, "local.gate-1") as liar:
        from edgesdk_targets.messages import Reply

        liar.say(Reply(**liar._head(), id=number, ok=True, step="done", message="it was me"))
        (own,) = operator.post("/api/v1/commands", json={"node": "local.gate-1", "verb": "birth"}).json()["ids"]
        until(lambda: command(operator, own)["state"] == "done")
    assert command(operator, number)["state"] in ("waiting", "sent")


def test_live_results_come_as_they_are_said(service: FleetService, operator: httpx.Client, broker: Broker) -> None:
    with CommandedDevice(broker.address) as device:
        stop = threading.Event()

        def talk() -> None:
            while not stop.wait(0.1):
                device.result("<b>GATE 7</b>")

        talking = threading.Thread(target=talk, daemon=True)
        talking.start()
        try:
            with operator.stream("GET", f"/api/v1/devices/{device.node}/live") as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                said = next(s for line in answer.iter_lines() if line.startswith("data: ") and
                            (s := json.loads(line[6:]))["kind"] == "result")  # fmt: skip
        finally:
            stop.set()
            talking.join()
    assert said["camera"] == "door"
    assert "GATE 7" in said["text"]


def test_a_page_hears_the_fleet_and_its_device_over_one_connection(
    service: FleetService, operator: httpx.Client, broker: Broker
) -> None:
    assert operator.get("/api/v1/live?node=../etc").status_code == 422
    with (
        CommandedDevice(broker.address) as device,
        operator.stream("GET", f"/api/v1/live?node={device.node}") as answer,
    ):
        heard = set()
        for line in answer.iter_lines():
            if line.startswith("event: "):
                heard.add(line[7:])
            if heard == {"fleet", "said"}:
                break
    until(lambda: not service.parts.node_feeds._feeds)  # type: ignore[union-attr]


def test_without_a_broker_it_is_said(tmp_path: Path) -> None:
    with FleetService(tmp_path) as alone:
        alone.add_user("operator")
        with alone.logged_in("operator") as client:
            answer = client.post("/api/v1/commands", json={"node": "local.x", "verb": "birth"})
            assert answer.status_code == 503
            assert "--broker" in answer.json()["error"]["hint"]
