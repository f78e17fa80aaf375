"""The alerts' rounds beside the service: rules are looked at, and people told, while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.alerts.channel_settings import Seal
from edgesdk.fleet.alerts.watch import AlertWatch
from edgesdk.fleet.service.parts import Parts


def alert_rounds(parts: Parts, seal: Path, *, every_s: float = 5.0) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Return what runs the rounds until the event that it is given is set; from now on the service's pages have the key too.

    Args:
        seal: the file with the key of the channels' secrets; made where it is absent.
        every_s: between two looks at the rules.

    Raises:
        InputError: the file holds no key.
    """
    parts.seal = Seal.in_file(seal)
    commander = parts.commander

    def blind_since() -> float | None:
        since = parts.collecting.get("since")
        return float(since) if since is not None else None

    watch = AlertWatch(
        parts.engine,
        parts.seal,
        say=commander.say if commander is not None else None,
        connected=lambda: commander is not None and commander.connected,
        # While nothing is recorded, silence is ours and no device's.
        blind_since=blind_since,
        every_s=every_s,
    )

    async def rounds(stop: asyncio.Event) -> None:
        watch.start()
        await stop.wait()
        await run_in_threadpool(watch.stop)

    return rounds
