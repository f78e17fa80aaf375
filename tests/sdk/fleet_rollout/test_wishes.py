"""What is wanted of devices at a real broker: said again to one that forgot, and one device's trouble is no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesdk.fleet.rollout.model import Device, Rollout
from edgesdk.fleet.rollout.policy import Policy
from edgesdk.fleet.rollout.seen import Report
from edgesdk.fleet.service.rollouts.driver import Driver, rollout_rounds, told
from edgesdk.fleet.service.rollouts.wishes import Wishes
from edgesdk.fleet.store.engine import open_store
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.messages.envelope import MAX_SEQ
from edgesdk_targets.topics import Channel, Node, Topic, every_device
from edgesdk_testkit.brokers import RealBroker, running_broker
from edgesdk_testkit.rollout_store import OneBundle

pytestmark = pytest.mark.system
LEAVE = {"leave": "sha256:" + "1" * 64}
PATIENCE_S = 60


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RealBroker]:
    with running_broker("mosquitto", tmp_path) as found:
        yield found


async def until(wishes: Wishes, holds: Callable[[dict[str, Any]], bool], look: Callable[[], None]) -> None:
    """Look as the rounds do until something holds of what the broker keeps."""

    async def looking() -> None:
        while not holds(wishes.kept()):
            await wishes.told()
            look()
            await asyncio.sleep(0.05)

    await asyncio.wait_for(looking(), PATIENCE_S)


async def kept_at(broker: RealBroker) -> dict[str, Any]:
    """Return what somebody who comes now is told."""
    async with Wishes(broker.address) as other:
        await other.connected(asyncio.Event())
        return other.kept()


def test_a_broker_that_forgot_is_told_again(broker: RealBroker) -> None:
    async def life() -> None:
        async with Wishes(broker.address) as wishes:
            await wishes.connected(asyncio.Event())

            def want() -> None:
                wishes.want({"t.a": LEAVE}, {"t.a": 4})

            await until(wishes, lambda kept: "t.a" in kept, want)
            assert wishes.kept()["t.a"].version == 5
            assert wishes.connection == 1
            # It keeps nothing on a disk, so that now it knows nothing.
            broker.kill()
            broker.start()
            assert await kept_at(broker) == {}
            await until(wishes, lambda kept: "t.a" not in kept, lambda: None)
            await until(wishes, lambda kept: "t.a" in kept, want)
            assert (await kept_at(broker))["t.a"].state == {"update": LEAVE}
            assert (wishes.connection or 0) > 1
            # Somebody takes it away at the broker: it is said once more, without a wait.
            someone = Subscriber(broker.address, [every_device(Channel.EVENT)], lambda _got: None)
            await someone.start()
            someone.publish(str(Topic(Node("a", "t"), Channel.DESIRED)), b"", content_type="", retain=True)
            await until(wishes, lambda kept: "t.a" not in kept, lambda: None)
            await someone.stop()
            await until(wishes, lambda kept: "t.a" in kept, want)

    asyncio.run(life())


def test_a_device_that_has_answered_more_than_we_knew_is_told_once_more(broker: RealBroker) -> None:
    """A service from an old backup counts from what it knows; the device passes that over."""

    async def life() -> None:
        async with Wishes(broker.address) as wishes:
            await wishes.connected(asyncio.Event())
            await until(wishes, lambda kept: "t.a" in kept, lambda: wishes.want({"t.a": LEAVE}, {"t.a": 4}))
            rollout = Rollout("r1", LEAVE["leave"], Policy(), devices={"t.a": Device("t.a")})
            assert told(rollout, wishes.kept(), {"t.a": Report("t.a", answered=4)}) == {"t.a": ("leave", 5)}
            # Then it says that it answered a later one long ago.
            assert told(rollout, wishes.kept(), {"t.a": Report("t.a", answered=9)}) == {}
            await until(wishes, lambda kept: kept["t.a"].version > 9, lambda: wishes.want({"t.a": LEAVE}, {"t.a": 9}))
            assert wishes.kept()["t.a"].version == 10
            # Once: what it has answered is not said again.
            wishes.want({"t.a": LEAVE}, {"t.a": 10})
            assert (await kept_at(broker))["t.a"].version == 10

    asyncio.run(life())


def test_a_device_whose_version_has_no_next_one_is_passed_over(
    broker: RealBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async def life() -> None:
        async with Wishes(broker.address) as wishes:
            await wishes.connected(asyncio.Event())
            updates = dict.fromkeys(("t.a", "t.b", "t.c"), LEAVE)
            await until(
                wishes,
                lambda kept: {"t.b", "t.c"} <= set(kept),
                lambda: wishes.want(updates, {"t.a": MAX_SEQ, "t.b": 1}),
            )
            assert (wishes.kept()["t.b"].version, "t.a" in wishes.kept()) == (2, False)

    asyncio.run(life())
    assert sum("t.a cannot be told" in one.getMessage() for one in caplog.records) == 1


def test_a_look_that_fails_is_tried_again_and_ends_nothing(broker: RealBroker, tmp_path: Path) -> None:
    engine = open_store(tmp_path / "fleet.db")
    looks: list[int] = []
    stop = asyncio.Event()

    def clock() -> int:
        looks.append(1)
        if len(looks) == 1:
            raise ValueError("something that nobody thought of")
        stop.set()
        return 1_700_000_000_000

    async def life() -> None:
        rounds = rollout_rounds(Driver(engine, OneBundle(tmp_path), clock=clock), broker.address, every_s=0.05)
        await asyncio.wait_for(rounds(stop), PATIENCE_S)

    asyncio.run(life())
    assert len(looks) > 1
    engine.dispose()
