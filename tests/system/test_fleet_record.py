"""The recorder against real brokers: committed, then acknowledged, then told; and what it does when they die."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edgesdk.cli.app import run
from edgesdk.fleet.collect import collector as collecting
from edgesdk.fleet.collect import writer
from edgesdk.fleet.collect.collector import Collector
from edgesdk.fleet.store import engine
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.records import Asked, Records
from edgesdk_targets.errors import NoSpace
from edgesdk_targets.messages import DEFLATED, Encoded, Event, Gap, GapCause, GapRange, encode, pack_segment, plain_json
from edgesdk_testkit.brokers import KINDS, PATIENCE_S, RealBroker, running_broker
from edgesdk_testkit.mqtt_device import AT, MqttDevice, birth, result
from edgesdk_testkit.recorder_process import RecorderProcess

pytestmark = pytest.mark.system


def _seqs(db: Path, node: str = "cam1") -> list[int]:
    with Records(db) as held:
        return [one["seq"] for one in held.find(Asked(node), limit=None, newest_first=False)]


def test_what_is_told_as_stored_is_stored_with_gaps_passed_over_and_holes_asked_for(
    broker: RealBroker, tmp_path: Path
) -> None:
    db = tmp_path / "fleet.db"
    with RecorderProcess(broker.url, db) as recorder, MqttDevice(broker.address) as device:
        device.say(birth(1), retain=True)
        device.wait_ack(lambda ack: ack.upto == 0)
        device.say(*(result(seq) for seq in range(1, 501)), result(200))
        device.wait_ack(lambda ack: ack.upto == 500)
        # Numbers that are gone are declared; others are missing without a word, and asked for.
        gap = Gap.of([GapRange(first=501, last=510, cause=GapCause.BUDGET, reports={"result": 10})])
        device.say(Event(node=device.node, at=AT, epoch="e1", seq=511, name="gap", data=gap.to_data()), result(514))
        asked = device.wait_ack(lambda ack: bool(ack.want))
        assert (asked.upto, [(r.first, r.last) for r in asked.have]) == (511, [(514, 514)])
        assert [(r.first, r.last) for r in asked.want] == [(512, 513)]
        bodies = [(seq, plain_json(encode(result(seq)))) for seq in (512, 513)]
        device.send("edgesdk/1/local.cam1/up/segment", Encoded(pack_segment(device.node, AT, "e1", bodies), DEFLATED))
        device.wait_ack(lambda ack: ack.upto == 514)
        code, done = recorder.finish()
    assert code == 0, recorder.log
    assert (done["stored"], done["duplicates"], done["lost"], done["refused"]) == (504, 1, 10, 0)
    assert done["nodes"]["local.cam1"] == {"epoch": "e1", "stored": 504, "upto": 514, "missing": 0}
    assert done["commits"] < 100
    assert _seqs(db) == [*range(1, 501), *range(511, 515)]


def test_a_broker_that_is_killed_is_subscribed_to_again(broker: RealBroker, tmp_path: Path) -> None:
    db = tmp_path / "fleet.db"
    with RecorderProcess(broker.url, db) as recorder, MqttDevice(broker.address) as device:
        for turn in range(3):
            device.say(result(3 * turn + 1))
            device.wait_ack(lambda ack: ack.upto == 3 * turn + 1)  # noqa: B023
            broker.kill()
            broker.start()
            # As an agent does: born again on the new connection, and what it was not told is sent again.
            device.say(birth(1))
            while not device.acks or device.acks[-1].upto < 3 * turn + 3:
                device.say(result(3 * turn + 2), result(3 * turn + 3))
                device.wait_published(device.puback_count + 1)
        code, done = recorder.finish(signal.SIGTERM)
    assert code == 0, recorder.log
    assert done["connections"] >= 4
    assert _seqs(db) == list(range(1, 10))


def test_ctrl_c_commits_what_was_received_and_nothing_is_told_that_is_not_stored(
    mosquitto: RealBroker, tmp_path: Path
) -> None:
    db = tmp_path / "fleet.db"
    with RecorderProcess(mosquitto.url, db) as recorder, MqttDevice(mosquitto.address) as device:
        device.say(*(result(seq) for seq in range(1, 3001)))
        device.wait_ack(lambda ack: ack.upto >= 200)
        code, done = recorder.finish(signal.SIGINT)
        # The last word was said: nothing that is stored is sent again.
        device.wait_ack(lambda ack: ack.upto == done["stored"])
    assert code == 0, recorder.log
    assert "Traceback" not in recorder.log
    seqs = _seqs(db)
    assert seqs == list(range(1, len(seqs) + 1))
    assert done["stored"] == len(seqs)
    assert done["messages"] == len(seqs)


def test_the_broker_keeps_messages_for_a_recorder_that_is_away(mosquitto: RealBroker, tmp_path: Path) -> None:
    db = tmp_path / "fleet.db"
    with MqttDevice(mosquitto.address) as device:
        with RecorderProcess(mosquitto.url, db):
            pass
        device.say(*(result(seq) for seq in range(1, 101)))
        device.wait_published(100)
        with RecorderProcess(mosquitto.url, db) as recorder:
            device.wait_ack(lambda ack: ack.upto == 100)
            recorder.finish()
    assert _seqs(db) == list(range(1, 101))


def test_what_waits_for_a_locked_store_is_bounded_in_bytes_and_the_rest_stays_with_the_broker(
    mosquitto: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mosquitto does not keep to a window until the first acknowledgement, and a window counts no bytes."""
    monkeypatch.setattr(writer, "_MAX_WAITING_BYTES", 1 << 20)
    count, filling = 500, "x" * 20_000

    async def go() -> None:
        store, stop, ready = Ingest(tmp_path / "fleet.db"), asyncio.Event(), asyncio.Event()
        collector = Collector(mosquitto.address, store)
        running = asyncio.ensure_future(collector.run(stop, ready=ready.set))
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        other = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)
        with MqttDevice(mosquitto.address) as device:
            other.execute("BEGIN IMMEDIATE")
            device.say(*(result(seq).model_copy(update={"result": {"kind": "text", "text": filling}})
                         for seq in range(1, count + 1)))  # fmt: skip
            # The broker has all of it.
            await asyncio.to_thread(device.wait_published, count)
            read = -1
            while collector.has_room or read != collector.figures.messages:
                read = collector.figures.messages
                await asyncio.sleep(0.3)
            assert 0 < read < count / 4
            other.execute("ROLLBACK")
            await asyncio.to_thread(device.wait_ack, lambda ack: ack.upto == count)
        other.close()
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)
        assert collector.to_json(1)["connections"] == 1
        store.close()

    asyncio.run(go())


def test_what_cannot_be_written_at_the_end_is_said_and_told_to_nobody_as_stored(
    mosquitto: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(collecting, "_LAST_COMMIT_S", 0.2)

    async def go() -> None:
        store, stop, ready = Ingest(tmp_path / "fleet.db"), asyncio.Event(), asyncio.Event()
        collector = Collector(mosquitto.address, store)
        running = asyncio.ensure_future(collector.run(stop, ready=ready.set))
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        other = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)
        with MqttDevice(mosquitto.address) as device:
            other.execute("BEGIN IMMEDIATE")
            device.say(result(1), result(2))
            while collector.waiting < 2 or "locked" not in collector.problem:  # noqa: ASYNC110  (it has no event)
                await asyncio.sleep(0.05)
            stop.set()
            with pytest.raises(NoSpace, match=r"2 messages could not be written: .*locked"):
                await asyncio.wait_for(running, PATIENCE_S)
            other.close()
            assert device.acks == []
        store.close()
        assert _seqs(tmp_path / "fleet.db") == []

    asyncio.run(go())


def test_what_is_too_large_for_a_message_is_refused_and_what_no_memory_should_hold_is_not_even_read(
    tmp_path: Path,
) -> None:
    db = tmp_path / "fleet.db"
    # A broker of somebody else, that limits nothing.
    with (
        running_broker("mosquitto", tmp_path / "broker", extra=("max_packet_size 100000000",)) as broker,
        RecorderProcess(broker.url, db) as recorder,
        MqttDevice(broker.address) as device,
    ):
        for size in (1 << 20, 8 << 20):
            device.send("edgesdk/1/local.cam1/up/result", Encoded(b"x" * size))
        device.say(result(1))
        device.wait_ack(lambda ack: ack.upto == 1)
        code, done = recorder.finish()
    assert code == 0, recorder.log
    assert (done["messages"], done["refused"], done["stored"], done["connections"]) == (2, 1, 1, 1)
    with Records(db) as held:
        (refused,) = held.quarantine()["messages"]
    assert "1048576 bytes are more than" in refused["reason"]


def test_ten_thousand_malformed_messages_are_counted_and_the_recorder_lives(
    mosquitto: RealBroker, tmp_path: Path
) -> None:
    from edgesdk_testkit.malformed import malformed_messages

    db = tmp_path / "fleet.db"
    sent = malformed_messages(10_000)
    with RecorderProcess(mosquitto.url, db) as recorder, MqttDevice(mosquitto.address) as device:
        for start in range(0, len(sent), 500):
            for topic, body in sent[start : start + 500]:
                device.send(topic, body)
            device.wait_published(start + 500)
        device.say(result(1, epoch="after"))
        device.wait_ack(lambda ack: ack.epoch == "after" and ack.upto == 1)
        code, done = recorder.finish()
    assert code == 0, recorder.log
    assert "Traceback" not in recorder.log
    assert done["messages"] == len(sent) + 1
    assert done["refused"] >= len(sent)
    with Records(db) as held:
        found = held.quarantine(limit=1)
        assert (found["refused"], found["kept"]) == (done["refused"], 1000)


def test_odd_messages_that_the_decoder_takes_stop_nobodys_record(mosquitto: RealBroker, tmp_path: Path) -> None:
    from edgesdk_testkit.odd_messages import odd_bodies

    db = tmp_path / "fleet.db"
    sent = odd_bodies("local.cam1", "e1")
    with RecorderProcess(mosquitto.url, db) as recorder, MqttDevice(mosquitto.address) as device:
        for topic, body in sent:
            device.send(topic, Encoded(body))
        device.say(result(len(sent) + 1))
        device.wait_ack(lambda ack: ack.upto == len(sent) + 1)
        code, done = recorder.finish()
    assert code == 0, recorder.log
    assert "Traceback" not in recorder.log
    assert done["stored"] + done["refused"] == len(sent) + 1


def test_the_record_is_shown_as_tables_lines_and_json(
    mosquitto: RealBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    db = tmp_path / "fleet.db"
    with RecorderProcess(mosquitto.url, db) as recorder, MqttDevice(mosquitto.address) as device:
        device.say(result(1), result(2), result(5))
        device.send("edgesdk/1/local.cam1/up/result", Encoded(b"no json"))
        device.wait_ack(lambda ack: ack.upto == 2 and bool(ack.have))
        recorder.finish()

    def shown(*arguments: str) -> str:
        assert run(["fleet", "records", "--db", str(db), *arguments]) == 0
        return capsys.readouterr().out

    def document(*arguments: str) -> Any:
        return json.loads(shown(*arguments, "--json"))

    (node,) = document()["nodes"]
    assert (node["node"], node["records"], node["upto"], node["missing"]) == ("local.cam1", 3, 2, 2)
    assert [r["seq"] for r in document("--node", "cam1", "--limit", "2")["records"]] == [5, 2]
    assert document("--since", "1h", "--kind", "result")["records"] == []
    assert [(g["first"], g["last"], g["cause"]) for g in document("--gaps")["gaps"]] == [(3, 4, "missing")]
    assert document("--quarantine")["messages"][0]["begins"] == "no json"
    assert [json.loads(line)["message"]["frame"] for line in shown("--jsonl").splitlines()] == [1, 2, 5]
    assert "local.cam1" in shown()
    assert "door: “5”" in shown("--node", "cam1")
    assert "not deflated" in shown("--quarantine") or "JSON" in shown("--quarantine")
    assert run(["fleet", "records", "--db", str(db), "--since", "yesterday"]) == 2
    assert run(["fleet", "records", "--db", str(db), "--node", "nobody"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_told_with_the_flags(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with running_broker(kind, tmp_path / "broker", username="me", password="right") as broker:
        login = ["--db", str(tmp_path / "fleet.db"), "--username", "me", "--wait", "--duration", "0"]
        wrong = run(["fleet", "record", "-b", broker.url, *login, "--password", "wrong"])
        err = capsys.readouterr().err
        assert run(["fleet", "record", "-b", broker.url, *login, "--password", "right"]) == 0
    # iotcore closes without an answer, which time might mend.
    assert wrong == (1 if kind == "mosquitto" else 0)
    assert "mqtt.username" not in err
    assert "--username" in err or "another user or password" in err


def test_a_recorder_without_a_broker_says_so_and_one_that_waits_waits(tmp_path: Path) -> None:
    with running_broker("mosquitto", tmp_path / "broker") as broker:
        broker.kill()
        first = RecorderProcess(broker.url, tmp_path / "fleet.db")
        assert first.finish(None) == (1, {})
        assert "No broker answers" in first.log
        with RecorderProcess(broker.url, tmp_path / "fleet.db", "--wait") as recorder:
            broker.start()
            with MqttDevice(broker.address) as device:
                device.say(birth(1), retain=True)
                device.wait_ack(lambda ack: ack.upto == 0)
            assert recorder.finish()[0] == 0
