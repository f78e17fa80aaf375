"""Acknowledgements that wait for a commit: none before, one packet for each message, and none for what was given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgesdk.fleet import gmqtt_client
from edgesdk.fleet.gmqtt_client import GatheredWrites, LateAcknowledgements, Received


class _Client:
    """As much of gmqtt's client as is looked at; what it writes is kept."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.on_message: Any = None
        self._package_handler = self._connection = self._protocol = self
        self._handle_qos_1_publish_packet: Any = None
        self._read_packet: Any = None
        self._last_data_in = 0.0
        self.asked = 0

    async def read(self, size: int = -1) -> bytes:
        self.asked += 1
        return b"said"

    def write_data(self, data: bytes) -> None:
        self.written.append(data)


def test_messages_are_acknowledged_when_they_are_settled_and_together() -> None:
    async def go() -> None:
        loop = asyncio.get_running_loop()
        client, settled = _Client(), [loop.create_future() for _ in range(3)]
        heard: list[Received] = []

        def take(received: Received) -> asyncio.Future[Any]:
            heard.append(received)
            return settled[int(received.topic)]

        late = LateAcknowledgements(client, take)
        for mid, topic in ((1, "0"), (2, "1"), (3, "0"), (4, "2")):
            client._handle_qos_1_publish_packet(mid, b"x", topic, {})
        await asyncio.sleep(0)
        assert client.written == []
        settled[0].set_result(None)
        await asyncio.sleep(0)
        assert client.written == [b"\x40\x02\x00\x01\x40\x02\x00\x03"]
        settled[1].cancel()
        await asyncio.sleep(0)
        # The connection is gone: on the next one, 4 is another message.
        late.forget()
        settled[2].set_result(None)
        await asyncio.sleep(0)
        assert len(client.written) == 1
        assert [one.qos for one in heard] == [1] * 4

    asyncio.run(go())


class _Full:
    """No room, until somebody makes some."""

    has_room = False

    def __init__(self) -> None:
        self.made = asyncio.Event()

    async def room(self) -> None:
        await self.made.wait()


def test_nothing_is_read_without_room_and_a_broker_that_nobody_listens_to_is_not_taken_for_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gmqtt_client, "_LOOK_S", 0.01)

    async def go() -> None:
        client, where = _Client(), _Full()
        LateAcknowledgements(client, lambda _: asyncio.get_running_loop().create_future()).read_quickly(where)
        reading = asyncio.ensure_future(client.read(1 << 16))
        looks = set[float]()
        while len(looks) < 3:
            looks.add(client._last_data_in)
            await asyncio.sleep(0.005)
        assert (client.asked, reading.done()) == (0, False)
        # A connection that ends while it waits is none of those that read on.
        lost = asyncio.ensure_future(client.read(1 << 16))
        await asyncio.sleep(0.02)
        lost.cancel()
        where.has_room = True
        where.made.set()
        assert await asyncio.wait_for(reading, 30) == b"said"
        await asyncio.gather(lost, return_exceptions=True)
        assert (client.asked, lost.cancelled()) == (1, True)

    asyncio.run(go())


def test_what_is_written_in_one_turn_leaves_as_one_piece_and_before_the_end() -> None:
    class Transport:
        def __init__(self) -> None:
            self.said: list[bytes] = []
            self.closed = False

        def write(self, data: bytes) -> None:
            assert not self.closed
            self.said.append(data)

        def is_closing(self) -> bool:
            return self.closed

        def close(self) -> None:
            self.closed = True

    async def go() -> None:
        transport = Transport()
        gathered = GatheredWrites(transport, None, asyncio.get_running_loop())  # type: ignore[arg-type]
        gathered.write(b"a")
        gathered.write(bytearray(b"b"))
        assert transport.said == []
        await asyncio.sleep(0)
        gathered.write(b"c")
        gathered.close()
        assert transport.said == [b"ab", b"c"]
        gathered.write(b"lost")
        await asyncio.sleep(0)
        assert transport.said == [b"ab", b"c"]

    asyncio.run(go())


def test_who_speaks_to_a_broker_that_does_not_read_waits_until_it_does() -> None:
    async def go() -> None:
        reading, heard = asyncio.Event(), asyncio.Event()
        size = 64 << 20

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reading.wait()
            await reader.readexactly(size)
            heard.set()
            writer.close()

        server = await asyncio.start_server(slow, "127.0.0.1", 0, limit=1 << 20)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        gathered = GatheredWrites(writer.transport, writer.transport.get_protocol(), asyncio.get_running_loop())  # type: ignore[arg-type]
        await gathered.room()
        for _ in range(1024):
            gathered.write(bytes(size // 1024))
        room = asyncio.ensure_future(gathered.room())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not room.done()
        reading.set()
        await asyncio.wait_for(asyncio.gather(room, heard.wait()), 30)
        gathered.close()
        await asyncio.sleep(0)
        server.close()

    asyncio.run(go())
