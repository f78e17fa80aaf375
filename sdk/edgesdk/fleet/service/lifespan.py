"""What runs beside the answering of requests: the connection for commands, the live feeds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from edgesdk.fleet.service.parts import Parts


@contextlib.asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[None]:
    """Run them while the service answers."""
    tasks = [] if parts.commander is None else [asyncio.create_task(parts.commander.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.fleet_feed.close()
        if parts.node_feeds is not None:
            await parts.node_feeds.close()
