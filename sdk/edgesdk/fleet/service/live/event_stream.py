"""Server-sent events: lines of text on a connection that stays open, kept alive, and ended when nobody listens.

Who is let in is asked again for as long as the connection stays: it ends with the session, the token or the person's
account. A person or program has so many at most, as each holds a connection and memory of the service.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from edgesdk.fleet.service.security.refusals import TooManyRequests

# Shorter than what proxies and phones take for a dead connection; who lost the right to listen hears no longer than this.
_KEEP_ALIVE_S = 15.0
_RETRY_MS = 2000
# A page has one stream, and none while it is hidden.
MAX_STREAMS_EACH = 20


class Listeners:
    """How many streams each person and program has open; used by the event loop's thread alone."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def check(self, asker: str) -> None:
        """Refuse who has enough of them. Raises TooManyRequests."""
        if self._open[asker] >= MAX_STREAMS_EACH:
            raise TooManyRequests("Too many live connections are open.", retry_after_s=30)

    def stream(self, asker: str, still: Callable[[], bool], lines: AsyncIterator[str]) -> StreamingResponse:
        """Return the answer that a browser's EventSource reads.

        Args:
            still: tells whether the asker may stay; called on a thread of the pool.

        Raises:
            TooManyRequests: this one has enough of them.
        """
        self.check(asker)
        return StreamingResponse(
            self._counted(asker, _kept_alive(lines, still)),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(self, asker: str, lines: AsyncIterator[str]) -> AsyncIterator[str]:
        # Counted here, not before: an answer whose asker is gone before it begins is never begun, and never ended.
        self._open[asker] += 1
        try:
            async for line in lines:
                yield line
        finally:
            self._open[asker] -= 1
            if not self._open[asker]:
                del self._open[asker]
            await lines.aclose()  # type: ignore[attr-defined]


def event(name: str, data: str, *, event_id: int | None = None) -> str:
    """Return one event; `data` is JSON, so it has no line breaks."""
    numbered = "" if event_id is None else f"id: {event_id}\n"
    return f"{numbered}event: {name}\ndata: {data}\n\n"


async def merged(*sources: AsyncIterator[str]) -> AsyncIterator[str]:
    """Give what any of several says, as it comes."""
    waiting = {asyncio.ensure_future(anext(one)): one for one in sources}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                source = waiting.pop(task)
                try:
                    text = task.result()
                except StopAsyncIteration:
                    continue
                waiting[asyncio.ensure_future(anext(source))] = source
                yield text
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for source in sources:
            await source.aclose()  # type: ignore[attr-defined]


async def _kept_alive(lines: AsyncIterator[str], still: Callable[[], bool]) -> AsyncIterator[str]:
    yield f"retry: {_RETRY_MS}\n\n"
    clock = asyncio.get_running_loop().time
    waiting = asyncio.ensure_future(anext(lines))
    look_again = clock() + _KEEP_ALIVE_S
    try:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=max(0.0, look_again - clock()))
            # By the clock, not by silence: a device that speaks all the time keeps nobody in.
            if clock() >= look_again:
                if not await run_in_threadpool(still):
                    return
                look_again = clock() + _KEEP_ALIVE_S
                yield ": still here\n\n"
            if not done:
                continue
            try:
                text = waiting.result()
            except StopAsyncIteration:
                return
            yield text
            waiting = asyncio.ensure_future(anext(lines))
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await lines.aclose()  # type: ignore[attr-defined]
