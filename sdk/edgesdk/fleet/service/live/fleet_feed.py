"""Says when the fleet's picture has changed: one look at the store a second for everybody who watches, none for nobody."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from edgesdk.fleet.service.clock import now_ms
from edgesdk.fleet.store.alert_pages import last_change_ms
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.events import last_id
from edgesdk.fleet.store.fleet_overview import overview

_LOOK_S = 1.0
MAX_WATCHERS = 500
_log = logging.getLogger("edgesdk.fleet.service")


class FleetFeed:
    """The fleet's live events; the first watcher starts the looking, the last one ends it.

    Args:
        engine: of the store.
        unrecorded: says why nothing is recorded; empty while it is.
    """

    def __init__(self, engine: Engine, unrecorded: Callable[[], str] = lambda: "") -> None:
        self._engine = engine
        self._unrecorded = unrecorded
        self._watchers: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None
        self._seen: dict[str, Any] = {}
        self._id = 0

    async def watch(self) -> AsyncIterator[tuple[int, str]]:
        """Give numbered JSON documents: counts and newest ids at once, then whenever they change."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            if self._seen:
                yield self._id, json.dumps(self._seen)
            while True:
                await changed.wait()
                changed.clear()
                yield self._id, json.dumps(self._seen)
        finally:
            self._watchers.discard(changed)

    @property
    def full(self) -> bool:
        """Whether nobody else can watch."""
        return len(self._watchers) >= MAX_WATCHERS

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        while self._watchers:
            try:
                seen = await run_in_threadpool(self._picture)
            except Exception as error:  # noqa: BLE001  # a task's top: a store that is away for a moment ends no stream
                _log.warning("the store cannot be read: %s", error)
                seen = {**self._seen, "problem": "The store cannot be read at present."}
            if seen != self._seen:
                self._seen, self._id = seen, self._id + 1
                for watcher in self._watchers:
                    watcher.set()
            await asyncio.sleep(_LOOK_S)

    def _picture(self) -> dict[str, Any]:
        with reading(self._engine) as connection:
            found = overview(connection, now_ms())
            return {
                **found, "event": last_id(connection), "alert": last_change_ms(connection),
                "unrecorded": self._unrecorded(),
            }  # fmt: skip
