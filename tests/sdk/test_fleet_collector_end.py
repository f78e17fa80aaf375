"""How a collector ends that is told to stop while its store is slow: no broker is needed for that."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.collect import collector as collecting
from edgesdk.fleet.collect.collector import Collector
from edgesdk.fleet.collect.writer import BatchWriter
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.ingest import Committed, Ingest
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import encode, topic_of
from edgesdk_testkit.reports import NOW_MS, event

_PATIENCE_S = 20.0
_SHORT_S = 0.05


class _Subscription:
    """One that is always connected, and on which one message comes at once."""

    connected, problem, connections = True, None, 1

    def __init__(self, _address: Any, _session: Any, on_message: Any, *_: Any, **__: Any) -> None:
        self._on_message = on_message

    async def start(self, *, wait: bool) -> None:
        said = event("shop.a", 1, NOW_MS, "door")
        body = encode(said)
        self._on_message(Received(str(topic_of(said)), body.payload, body.content_type, received_ms=NOW_MS, qos=1))

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def publish(self, *_: Any, **__: Any) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is held."""


class _SlowStore(Ingest):
    """One whose commits take until it is told to go on; nothing is wrong with them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.goes_on = threading.Event()

    def commit(self, *args: Any, **kwargs: Any) -> Committed:
        assert self.goes_on.wait(_PATIENCE_S)
        return super().commit(*args, **kwargs)


def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, goes_on_at: int) -> tuple[Collector, Exception | None]:
    """Let a collector run and stop at once, while its store is slow until it is waited for so many times."""
    drain, waited = BatchWriter.drain, 0
    store = _SlowStore(tmp_path / "fleet.db")

    async def waits(writer: BatchWriter, _timeout_s: float) -> bool:
        nonlocal waited
        waited += 1
        if waited == goes_on_at:
            store.goes_on.set()
        return await drain(writer, _PATIENCE_S if store.goes_on.is_set() else _SHORT_S)

    monkeypatch.setattr(BatchWriter, "drain", waits)
    monkeypatch.setattr(collecting, "Subscription", _Subscription)
    collector = Collector(BrokerAddress("localhost"), store)

    async def go() -> None:
        stop = asyncio.Event()
        await asyncio.wait_for(collector.run(stop, ready=stop.set), _PATIENCE_S)

    try:
        asyncio.run(go())
    except StoreBusy as error:
        return collector, error
    finally:
        store.close()
    return collector, None


def test_one_that_is_behind_and_goes_on_is_waited_for_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, error = ended(tmp_path, monkeypatch, goes_on_at=2)
    assert error is None
    assert collector.figures.nodes["shop.a"].stored == 1


def test_one_that_is_behind_for_longer_says_so_and_calls_no_disk_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The third time is after it has said so.
    _, error = ended(tmp_path, monkeypatch, goes_on_at=3)
    assert "1 messages were not written in time" in str(error)
    assert "room" not in str(error)
