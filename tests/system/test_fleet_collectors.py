"""Two real collectors that share one broker and one PostgreSQL; one is killed, then the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk.fleet.store.records import Asked, Records
from edgesdk_testkit.brokers import RealBroker, running_broker
from edgesdk_testkit.mqtt_device import MqttDevice, birth, result
from edgesdk_testkit.postgresql import PostgresqlServer, running_postgresql
from edgesdk_testkit.recorder_process import RecorderProcess

pytestmark = pytest.mark.system


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[RealBroker]:
    with running_broker("mosquitto", tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    """A server that may be killed."""
    with running_postgresql() as server:
        yield server


def _seqs(url: str) -> list[int]:
    with Records(url) as held:
        return [one["seq"] for one in held.find(Asked(), limit=None, newest_first=False)]


def test_two_collectors_share_the_work_and_one_that_dies_loses_nothing(
    mosquitto: RealBroker, postgresql: PostgresqlServer
) -> None:
    url = postgresql.new_database("two")
    with (
        RecorderProcess(mosquitto.url, url) as first,
        RecorderProcess(mosquitto.url, url) as second,
        MqttDevice(mosquitto.address) as device,
    ):
        device.say(birth(1), retain=True)
        device.say(*(result(seq) for seq in range(1, 2001)))
        device.wait_ack(lambda ack: ack.upto >= 200)
        first.kill()
        # As an agent does: what nobody says is stored is sent again.
        known = 0
        while known < 2000:
            known = max(known, *(ack.upto for ack in device.acks))
            device.say(*(result(seq) for seq in range(known + 1, 2001)))
            device.wait_published(device.puback_count + 1)
            device.wait_ack(lambda ack: ack.upto > known or ack.upto == 2000)  # noqa: B023
            known = max(ack.upto for ack in device.acks)
        code, done = second.finish()
    assert code == 0, second.log
    assert sorted(_seqs(url)) == list(range(1, 2001))
    # Both took part.
    assert 0 < done["stored"] < 2000


def test_a_database_that_is_killed_is_waited_for(mosquitto: RealBroker, postgresql: PostgresqlServer) -> None:
    url = postgresql.new_database("dying")
    with RecorderProcess(mosquitto.url, url) as collector, MqttDevice(mosquitto.address) as device:
        device.say(*(result(seq) for seq in range(1, 101)))
        device.wait_ack(lambda ack: ack.upto == 100)
        postgresql.kill()
        device.say(*(result(seq) for seq in range(101, 201)))
        postgresql.start()
        device.wait_ack(lambda ack: ack.upto == 200)
        code, done = collector.finish()
    assert code == 0, collector.log
    assert "Traceback" not in collector.log
    assert sorted(_seqs(url)) == list(range(1, 201))
    assert done["stored"] == 200
