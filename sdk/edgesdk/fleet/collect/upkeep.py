"""Keeps a store in order while reports come in: minutes and hours are rolled up, what is old is forgotten.

Where several collectors write one store, one of them does it at a time, and another goes on when that one is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine

from edgesdk.fleet.store import jobs, retention, rollups
from edgesdk.fleet.store.failures import StoreBusy, StoreFailed, told_apart
from edgesdk.fleet.store.media import MediaFolder
from edgesdk.fleet.store.retention import Keep

log = logging.getLogger(__name__)

ROLL_EVERY_S = 10.0
FORGET_EVERY_S = 600.0
# Of one go, so that a backlog of days does not hold back everything else.
_SAMPLES_A_GO = 100_000


class Upkeep:
    """Does what is due, on a thread of its own.

    Args:
        engine: of the store; other connections than the writer's.
        media: whose files go with their rows.
        keep: how long what is kept.
        wall: seconds since 1970.
    """

    def __init__(
        self, engine: Engine, media: MediaFolder, keep: Keep | None = None, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._media = media
        self._keep = keep or Keep()
        self._wall = wall
        self._holder = secrets.token_hex(6)
        self.problem = ""

    async def run(self) -> None:
        """Do what is due, as long as it is not cancelled."""
        while True:
            await asyncio.sleep(ROLL_EVERY_S)
            await asyncio.to_thread(self.once)

    def once(self) -> None:
        """Do what is due now; what fails is noted, and tried again the next time."""
        self._do("upkeep_roll", 0, partial(rollups.roll, self._engine, most=_SAMPLES_A_GO))
        self._do("upkeep_forget", int(FORGET_EVERY_S * 1000), self._forget)

    def _forget(self) -> None:
        gone = retention.forget_old(self._engine, self._keep, self._now_ms(), media=self._media)
        if any(gone.values()):
            log.info("Forgot what is old: %s", ", ".join(f"{name} {count}" for name, count in gone.items() if count))

    def _do(self, name: str, every_ms: int, work: Callable[[], object]) -> None:
        began_ms = self._now_ms()
        try:
            with told_apart("The store"):
                if not jobs.claim(self._engine, name, self._holder, began_ms, every_ms=every_ms):
                    return
                work()
                jobs.finish(self._engine, name, self._holder, began_ms, self._now_ms())
            self.problem = ""
        except (StoreBusy, StoreFailed) as error:
            if error.message != self.problem:
                log.warning("%s: %s", name, error.message)
            self.problem = error.message
            with contextlib.suppress(StoreBusy, StoreFailed), told_apart("The store"):
                jobs.finish(self._engine, name, self._holder, began_ms, self._now_ms(), error.message)

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)
